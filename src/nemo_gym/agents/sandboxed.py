"""Runs an agent's program in a sandbox: it copies the rollout's folder in, and the changed folder out."""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
import shutil
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final, cast

from nemo_gym.agents.programs import find_program, needed_by
from nemo_gym.agents.workplace import Program
from nemo_gym.sandbox import AsyncSandbox, SandboxCreateError, SandboxExecResult, SandboxSpec, create_provider
from nemo_gym.sandbox.archive import pack
from nemo_gym.sandbox.config import attribution_metadata, resolve_provider_config, resolve_provider_metadata
from nemo_gym.sandbox.errors import (
    ArchiveRefused,
    InvalidSandbox,
    NotIsolated,
    SandboxStopped,
    SandboxUnsupported,
)
from nemo_gym.sandbox.providers.local.layout import search_path
from nemo_gym.sandbox.spec import settings_of
from nemo_gym.support.processes import Ended
from nemo_gym.wire.errors import AgentFault

log: Final = logging.getLogger(__name__)

MOST_MIB: Final = 512
"""The largest working directory that is copied out, in MiB."""


@dataclass(frozen=True)
class SandboxSettings:
    """The setting `sandbox` of an agent."""

    provider: str | Mapping[str, Any] = "local"
    """A name, or a mapping with the settings of one provider: `{docker: {create: {...}}}`."""
    image: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """As `SandboxResources`."""
    network: str | None = None
    """The provider's `create.network`. The providers of this package have the default `none`: the program
    can reach the model and the environment's tools, and nothing else."""
    workdir: str = "/workspace"
    """The absolute path in the sandbox; the folder is created if it does not exist."""


class Sandboxes:
    """Creates a sandbox for each rollout.

    Args:
        sandbox: the name of a provider, or `SandboxSettings` as a mapping.
        program: the program that runs in the sandboxes.

    Raises:
        UsageError: there is no such provider or program, or a setting doesn't fit.
    """

    def __init__(self, sandbox: str | Mapping[str, Any], program: str) -> None:
        values = {"provider": sandbox} if isinstance(sandbox, str) else sandbox
        settings: SandboxSettings = settings_of(SandboxSettings, values, "sandbox")
        provider = settings.provider
        block: Mapping[str, Any] = {provider: {}} if isinstance(provider, str) else provider
        ((name, own),) = resolve_provider_config(block).items()
        self.program = find_program(program, first=search_path()) if name == "local" else program
        """The program's path in the sandbox."""
        own = _provider_settings(name, own, settings.network, self.program)
        self._provider = create_provider({name: own})
        self._spec = SandboxSpec(
            image=settings.image,
            resources=settings.limits,
            metadata={**resolve_provider_metadata(block), **attribution_metadata()},
        )
        if not settings.workdir.startswith("/"):
            raise InvalidSandbox(f"sandbox.workdir: expected an absolute path, not {settings.workdir!r}")
        self._workdir = settings.workdir.rstrip("/")

    async def check(self) -> None:
        """Create a sandbox and close it, so that a run without working sandboxes fails at its start.

        Raises:
            SandboxCreateError: the reason.
        """
        async with AsyncSandbox(self._provider, self._spec) as sandbox:
            try:
                await sandbox.start()
            except NotIsolated as error:
                raise SandboxCreateError(
                    f"sandboxes can't be isolated here: {error.why}. An agent is isolated or has no sandbox: "
                    "run it in docker or apptainer, or leave out the setting `sandbox`"
                ) from None

    @asynccontextmanager
    async def open(self, folder: Path, scratch: Path) -> AsyncGenerator[InSandbox, None]:
        """A sandbox for one program; it is closed at the end of the block.

        Args:
            folder: the folder that the program works on.
            scratch: a folder for the files that are copied in or out.

        Raises:
            AgentFault: the sandbox can't be created.
        """
        sandbox = AsyncSandbox(self._provider, self._spec)
        with _sandbox_errors_as_agent_faults():
            await sandbox.start()
        try:
            yield InSandbox(sandbox, self._provider.name, self._workdir, folder, scratch)
        finally:
            await sandbox.stop()

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()


class InSandbox:
    """A `Workplace` in a sandbox."""

    home = "/tmp/home"  # noqa: S108 - the sandbox's own

    def __init__(
        self, sandbox: AsyncSandbox, provider: str, workdir: str, folder: Path, scratch: Path
    ) -> None:
        self.workdir = workdir
        self.observation: dict[str, Any] | None = None
        self._sandbox = sandbox
        self._provider = provider
        self._folder = folder
        self._scratch = scratch

    async def reach(self, url: str) -> str:
        with _sandbox_errors_as_agent_faults():
            return await self._sandbox.reach(url)

    async def run(self, program: Program) -> Ended:
        with _sandbox_errors_as_agent_faults():
            await self._bring_in(program)
        began = monotonic()
        result: SandboxExecResult | None = None
        outcome = "sandbox_error"
        try:
            with _sandbox_errors_as_agent_faults():
                result = await self._exec(program)
            outcome = _outcome(result, program)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self.observation = self._observe(outcome, result, monotonic() - began)
        if result is None:
            return Ended(None, "", "", monotonic() - began)
        if result.error_type is not None:
            raise AgentFault(f"sandbox: {result.stderr}")
        with _sandbox_errors_as_agent_faults():
            try:
                await self._take_out()
            except ArchiveRefused as error:
                # The program broke its own result. The sandbox is not at fault, so the rollout is scored
                # with the unchanged folder.
                log.warning("the program's result can't be copied out of its sandbox: %s", error)
                self.observation |= {"outcome": "failed", "error_type": "result_refused"}
        return Ended(result.return_code, result.stdout or "", result.stderr or "", monotonic() - began)

    async def _exec(self, program: Program) -> SandboxExecResult | None:
        """Run the program; the result is None when it ran out of time and its processes were killed."""
        command = f"exec sh {self.home}/{_SCRIPT}"
        try:
            return await self._sandbox.exec(command, cwd=self.workdir, timeout_s=program.seconds)
        except TimeoutError:
            return None

    def _observe(self, outcome: str, result: SandboxExecResult | None, seconds: float) -> dict[str, Any]:
        usage = result.usage if result is not None else None
        return {
            "kind": "sandbox",
            "role": "agent",
            "provider": self._provider,
            "sandbox_id": self._sandbox.id,
            "outcome": outcome,
            "exit_code": None if result is None or result.error_type else result.return_code,
            "wall_time_s": seconds,
            "cpu_time_s": usage.cpu_time_s if usage else None,
            "peak_memory_mib": usage.peak_memory_mib if usage else None,
            "resource_usage_source": usage.source if usage else None,
            "error_type": result.error_type if result else None,
        }

    async def _bring_in(self, program: Program) -> None:
        """Copy the command, the variables and the input in as files, so that no process list shows them."""
        texts = {**program.files, _SCRIPT: self._script(program)}
        if program.stdin is not None:
            texts[_STDIN] = program.stdin
        archive = self._scratch / "in.tar"
        texts = {f"{self.home}/{name}".lstrip("/"): text for name, text in texts.items()}
        await asyncio.to_thread(_pack, archive, self._folder, self.workdir.lstrip("/"), texts)
        await self._do(f"mkdir -p {shlex.quote(self.workdir)} {self.home}")
        await self._sandbox.upload(archive, _ARCHIVE)
        await self._do(f"tar -xof {_ARCHIVE} -C / && rm {_ARCHIVE}")

    async def _take_out(self) -> None:
        result = self._scratch / "result"
        await asyncio.to_thread(result.mkdir)
        await self._sandbox.download_folder(self.workdir, result, most_bytes=MOST_MIB << 20)
        await asyncio.to_thread(_replace, self._folder, result)

    async def _do(self, command: str) -> None:
        result = await self._sandbox.exec(command, cwd="/", timeout_s=_COPY_S)
        if result.return_code != 0:
            errors = (result.stderr or "").strip()[-500:]
            raise AgentFault(f"sandbox: exit code {result.return_code} of {command}: {errors}")

    def _script(self, program: Program) -> str:
        variables = {"HOME": self.home, **program.env}
        for name in variables:
            if not _VARIABLE.fullmatch(name):
                raise AgentFault(f"{name!r} is not the name of a variable")
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        source = "/dev/null" if program.stdin is None else f"{self.home}/{_STDIN}"
        return "\n".join([*lines, f"exec {shlex.join(program.argv)} < {source}", ""])


_ARCHIVE: Final = "/tmp/gym.tar"  # noqa: S108 - the sandbox's own
_SCRIPT: Final = ".gym-run"
_STDIN: Final = ".gym-stdin"
_COPY_S: Final = 600.0
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _provider_settings(name: str, own: Any, network: str | None, program: str) -> dict[str, Any]:
    """The settings of a provider; without a network unless the configuration asks for one."""
    own = _mapping(name, own)
    create = dict(_mapping(name, own.get("create")))
    if network is not None:
        create["network"] = network
    elif name in ("apptainer", "docker"):
        create.setdefault("network", "none")
    if name == "local":
        if create.get("isolation", "required") not in ("required", "namespaces"):
            raise InvalidSandbox("sandbox: local.create.isolation: an agent is isolated or has no sandbox")
        create["isolation"] = "namespaces"  # Landlock would leave the agent without its model server
        create["readable"] = [*create.get("readable", ()), *needed_by(program)]
    return {**own, "create": create} if create else dict(own)


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping | None):
        raise InvalidSandbox(f"sandbox: expected the settings of {name!r} as mappings, not {value!r}")
    return cast("Mapping[str, Any]", value or {})


def _outcome(result: SandboxExecResult | None, program: Program) -> str:
    if result is None:
        return "timeout"
    if result.error_type is not None:
        return "sandbox_error"
    return "completed" if result.return_code in program.ok_exit_codes else "failed"


@contextmanager
def _sandbox_errors_as_agent_faults() -> Generator[None, None, None]:
    """Raise an error of the sandbox as the failure of one rollout."""
    try:
        yield
    except (SandboxCreateError, SandboxStopped, SandboxUnsupported, InvalidSandbox, OSError) as error:
        raise AgentFault(f"sandbox: {error}") from error


def _pack(archive: Path, folder: Path, place: str, texts: Mapping[str, str]) -> None:
    with archive.open("wb") as target:
        pack(target, folder, place, texts)


def _replace(folder: Path, result: Path) -> None:
    """Replace the content of one folder by the content of another."""
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    for child in result.iterdir():
        shutil.move(child, folder / child.name)
