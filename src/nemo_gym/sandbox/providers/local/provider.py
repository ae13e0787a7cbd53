"""The local provider: a folder and a supervisor process, isolated as far as the kernel permits."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import IO, Any, Final

from nemo_gym.sandbox.archive import PACKED, packing_words
from nemo_gym.sandbox.errors import (
    InvalidSandbox,
    NotIsolated,
    SandboxCreateError,
    SandboxFileError,
    SandboxStopped,
    SandboxUnsupported,
)
from nemo_gym.sandbox.program import Program, ProgramResult
from nemo_gym.sandbox.program_runs import run_in_fresh_sandbox
from nemo_gym.sandbox.providers.local.control import Control, End, Run
from nemo_gym.sandbox.providers.local.groups import Group, Groups
from nemo_gym.sandbox.providers.local.jail import INSIDE_ID, SHARED
from nemo_gym.sandbox.providers.local.landlock import reason_against, version
from nemo_gym.sandbox.providers.local.launch import nothing_file
from nemo_gym.sandbox.providers.local.layout import NOBODY, USER, Layout, inside_environment
from nemo_gym.sandbox.providers.local.limits import disk_mib, process_limits
from nemo_gym.sandbox.providers.local.ports import Ports
from nemo_gym.sandbox.providers.local.programs import Programs
from nemo_gym.sandbox.providers.local.session import LocalSession, open_session
from nemo_gym.sandbox.providers.local.settings import (
    LocalCreateConfig,
    LocalExecConfig,
    LocalLimitsConfig,
)
from nemo_gym.sandbox.providers.local.walls import check_walls
from nemo_gym.sandbox.relay import at_address, http_address
from nemo_gym.sandbox.spec import (
    RUNTIME_FAILURE,
    SandboxEndpoint,
    SandboxExecResult,
    SandboxHandle,
    SandboxPtySpec,
    SandboxSpec,
    SandboxStatus,
    SandboxUsage,
    settings_of,
)
from nemo_gym.support.finishing import finish, obtain
from nemo_gym.support.process_output import Output

log: Final = logging.getLogger(__name__)

_COPY_S: Final = 600.0
_PIECE: Final = 1 << 20
_DRAIN_S: Final = 0.25
"""Seconds to wait for output after a command has ended, when a process that it left holds the pipe open."""
_NO_NETWORK: Final = (
    "can't be reached with `isolation: landlock`, which permits no sockets: set `network: host`, or use a "
    "machine that permits user namespaces"
)


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether sandboxes are isolated from this machine."""

    namespaces: bool
    """A sandbox has its own files, processes, users and devices, and its own network unless the settings give
    it the machine's."""
    why_not: str = ""
    """Why there are no namespaces, and why Landlock is not enough."""
    landlock: bool = False
    """A sandbox has no namespaces, but rules of the kernel close the same things to it."""

    @property
    def holds(self) -> bool:
        """Whether the code is isolated."""
        return self.namespaces or self.landlock


@dataclass(slots=True)
class LocalSandbox:
    """A running sandbox: the `raw` of its handle."""

    layout: Layout
    control: Control
    ports: Ports
    env: dict[str, str]
    isolation: Isolation
    outputs: list[Output] = field(default_factory=list[Output])
    """The outputs of commands that left a process running."""


class LocalProvider:
    """Sandboxes on this machine (Linux). Each is a supervised process tree with its own folder and
    namespaces, a clean environment, resource limits and no privileges.

    Args:
        create, exec, limits: settings, as such or as mappings.

    Raises:
        InvalidSandbox: a setting is unknown.
    """

    name = "local"
    lays_out_files = True

    def __init__(
        self,
        *,
        create: LocalCreateConfig | Mapping[str, Any] | None = None,
        exec: LocalExecConfig | Mapping[str, Any] | None = None,
        limits: LocalLimitsConfig | Mapping[str, Any] | None = None,
    ) -> None:
        self._create = settings_of(LocalCreateConfig, create, "local.create")
        self._exec = settings_of(LocalExecConfig, exec, "local.exec")
        self._limits = settings_of(LocalLimitsConfig, limits, "local.limits")
        self._shell = (shutil.which("bash") or "sh") if self._exec.shell == "auto" else self._exec.shell
        self._groups = Groups(self._create.cgroup)
        self._isolation: Isolation | None = None
        self._probing = asyncio.Lock()
        self._live: dict[str, SandboxHandle] = {}
        self._programs = Programs(self._start_warm, inside_environment(), self._name_of_isolation())

    async def isolation(self) -> Isolation:
        """The isolation of this provider's sandboxes. A first sandbox tests it once."""
        async with self._probing:
            if self._isolation is None:
                self._isolation = await self._probe()
                if not self._isolation.holds and self._create.isolation in ("auto", "off"):
                    log.warning(
                        "sandboxes are NOT isolated (%s): commands can use this machine's network and reach "
                        "the files of the user they run as",
                        self._isolation.why_not,
                    )
        return self._isolation

    def isolation_of(self, handle: SandboxHandle) -> str:
        """`namespaces` or `landlock`, with `host network` where the settings say so, or `none`."""
        isolation = _sandbox(handle).isolation
        if not isolation.holds:
            return "none"
        return self._name_of_isolation("namespaces" if isolation.namespaces else "landlock")

    def _name_of_isolation(self, kind: str = "namespaces") -> str:
        return kind if self._create.network == "none" else f"{kind}, host network"

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A sandbox that is ready for commands.

        Raises:
            NotIsolated: this machine can't isolate sandboxes as the settings require.
            SandboxCreateError: it can't be created, or this provider does not support a field of the spec.
        """
        self._check(spec)
        isolation = await self.isolation()
        if not isolation.holds and self._create.isolation not in ("auto", "off"):
            raise NotIsolated(isolation.why_not)
        if spec.ports and isolation.landlock and self._create.network == "none":
            raise SandboxCreateError(f"ports {list(spec.ports)} {_NO_NETWORK}")
        layout = await self._new_layout(spec, jailed=isolation.namespaces, unique=isolation.holds)
        handle = SandboxHandle(layout.folder.name, self.name, None)
        try:
            async with asyncio.timeout(spec.ready_timeout_s or self._create.start_timeout_s):
                handle.raw = sandbox = LocalSandbox(
                    layout,
                    control := await self._start(layout, spec, isolation),
                    Ports(control),
                    {**layout.environment(), **spec.env},
                    isolation,
                )
                await self._prepare(sandbox, spec)
        except BaseException as error:
            await _remove(layout, handle.raw)
            match error:
                case TimeoutError():
                    raise SandboxCreateError("the sandbox was not ready in time") from None
                case OSError() | SandboxStopped():
                    raise SandboxCreateError(f"the sandbox can't be prepared: {error}") from error
                case _:
                    raise
        self._live[handle.sandbox_id] = handle
        return handle

    async def exec(
        self,
        handle: SandboxHandle,
        command: str,
        *,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_s: int | float | None = None,
        user: str | int | None = None,
    ) -> SandboxExecResult:
        """Run a line of shell to its end. A process that it leaves running goes on until the sandbox ends.

        Raises:
            TimeoutError: it took longer; it and what it started are killed.
        """
        _check_user(user)
        sandbox = _sandbox(handle)
        before = await _cpu_s(sandbox.control.group)
        out, err = await self._outputs(sandbox)
        limit = self._exec.default_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit):
                with out.end, err.end, nothing_file() as nothing:
                    run = await sandbox.control.run(
                        [self._shell, "-c", command],
                        {**sandbox.env, **(env or {})},
                        None if cwd is None else sandbox.layout.inside(cwd),
                        [nothing.fileno(), out.end.fileno(), err.end.fileno()],
                    )
                end = await _end_of(sandbox.control, run)
        except SandboxStopped as error:
            out.close()
            err.close()
            return SandboxExecResult(out.text, str(error), RUNTIME_FAILURE, "sandbox_stopped")
        except TimeoutError:
            raise TimeoutError(f"command took more than {limit:g} seconds and was killed") from None
        except OSError as error:
            return SandboxExecResult(None, f"the command can't be started: {error}", RUNTIME_FAILURE, "start")
        await asyncio.wait([out.drained, err.drained], timeout=_DRAIN_S)
        usage = _usage(end, before, await _cpu_s(sandbox.control.group))
        excess = f"\n[killed: the sandbox had too much {end.excess}]\n" if end.excess else ""
        return SandboxExecResult(out.text, err.text + excess, end.code, usage=usage)

    async def _outputs(self, sandbox: LocalSandbox) -> tuple[Output, Output]:
        """Two pipes that are closed with the sandbox at the latest."""
        out = await Output.pipe(self._exec.output_bytes)
        try:
            err = await Output.pipe(self._exec.output_bytes)
        except BaseException:
            out.close()
            raise
        sandbox.outputs = [*(output for output in sandbox.outputs if not output.drained.done()), out, err]
        return out, err

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        sandbox = _sandbox(handle)
        try:
            opening = asyncio.to_thread(source_path.open, "rb")
            with await obtain(opening, lambda source: asyncio.to_thread(source.close)) as source:
                fd = await sandbox.control.open(sandbox.layout.inside(target_path), write=True)
                await finish(asyncio.to_thread(_copy_in, source, fd))
        except OSError as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        sandbox = _sandbox(handle)
        try:
            fd = await sandbox.control.open(sandbox.layout.inside(source_path))
            await finish(asyncio.to_thread(_copy_out, fd, target_path))
        except (OSError, SandboxStopped) as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error

    async def pack_folder(self, handle: SandboxHandle, path: str, target: IO[bytes]) -> None:
        """Kill everything inside, then write an archive of a folder.

        Raises:
            SandboxFileError: it can't be read.
        """
        sandbox = _sandbox(handle)
        try:
            await sandbox.control.clear()
            with await Output.pipe(1 << 12) as err:
                with err.end, nothing_file() as nothing:
                    run = await sandbox.control.run(
                        packing_words(sandbox.layout.inside(path)),
                        sandbox.env,
                        "/",
                        [nothing.fileno(), target.fileno(), err.end.fileno()],
                    )
                target.close()
                async with asyncio.timeout(_COPY_S):
                    end = await _end_of(sandbox.control, run)
                await asyncio.wait([err.drained], timeout=_DRAIN_S)
        except (OSError, SandboxStopped) as error:
            raise SandboxFileError(f"{path} can't be packed: {str(error) or 'it took too long'}") from error
        if end.code not in PACKED:
            raise SandboxFileError(f"{path} can't be packed: {err.text.strip()[-500:]}")

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        return SandboxStatus.RUNNING if _sandbox(handle).control.running else SandboxStatus.STOPPED

    async def endpoint(self, handle: SandboxHandle, port: int) -> SandboxEndpoint:
        """The address of a port. A sandbox on the host network has this machine's ports.

        Raises:
            OSError: no port can be opened here.
        """
        sandbox = _sandbox(handle)
        if self._has_own_network(sandbox):
            port = await sandbox.ports.outside(port)
        return SandboxEndpoint(f"http://127.0.0.1:{port}")

    async def reach(self, handle: SandboxHandle, url: str) -> str:
        """The URL of a server for use inside. A sandbox with its own network reaches the server at a port of
        its loopback interface, and reaches nothing else.

        Raises:
            SandboxUnsupported: the URL is not http, or a sandbox without namespaces has no network.
            OSError: no port can be opened there.
        """
        sandbox = _sandbox(handle)
        if sandbox.isolation.landlock and self._create.network == "none":
            raise SandboxUnsupported(f"servers outside {_NO_NETWORK}")
        if not self._has_own_network(sandbox):
            return url
        return at_address(url, "127.0.0.1", await sandbox.ports.inside(*http_address(url)))

    async def create_pty(self, handle: SandboxHandle, spec: SandboxPtySpec) -> LocalSession:
        """Start a program on a terminal or on pipes.

        Raises:
            SandboxPtyError: it can't be started.
        """
        _check_user(spec.user)
        sandbox = _sandbox(handle)
        return await open_session(
            sandbox.control,
            [self._shell] if spec.command is None else [self._shell, "-c", spec.command],
            {"TERM": "xterm-256color", **sandbox.env, **spec.env},
            None if spec.cwd is None else sandbox.layout.inside(spec.cwd),
            size=(spec.rows, spec.cols) if spec.pty else None,
        )

    async def close(self, handle: SandboxHandle) -> None:
        if self._live.pop(handle.sandbox_id, None) is not None:
            await _remove(_sandbox(handle).layout, _sandbox(handle))

    async def aclose(self) -> None:
        await self._programs.aclose()
        for handle in list(self._live.values()):
            await self.close(handle)

    def _has_own_network(self, sandbox: LocalSandbox) -> bool:
        return sandbox.isolation.namespaces and self._create.network == "none"

    async def _probe(self) -> Isolation:
        if sys.platform != "linux":
            raise SandboxCreateError("the local provider needs Linux: use docker here")
        if self._create.isolation == "off":
            return Isolation(False, "the settings say so")
        why: list[str] = []
        if self._create.isolation != "landlock":
            isolation = Isolation(True)
            try:
                await self._try(isolation)
            except SandboxCreateError as error:
                why.append(_line(error))
            else:
                return isolation
        if self._create.isolation != "namespaces":
            isolation = Isolation(False, "; ".join(why), landlock=True)
            try:
                await self._try(isolation)
            except SandboxCreateError as error:
                why.append(f"Landlock is not enough: {_line(error)}")
            else:
                return isolation
        return Isolation(False, "; ".join(why))

    async def _try(self, isolation: Isolation) -> None:
        """Start a sandbox, and see that it holds.

        Raises:
            SandboxCreateError: it can't be started, or does not hold.
        """
        if isolation.landlock and (reason := reason_against(version(), root=os.geteuid() == 0)):
            raise SandboxCreateError(reason)
        spec = SandboxSpec()
        layout = await self._new_layout(spec, jailed=isolation.namespaces)
        try:
            control = await self._start(layout, spec, isolation)
            try:
                if isolation.landlock:
                    await check_walls(control, layout, network=self._create.network == "host")
            finally:
                await control.close()
        finally:
            await finish(asyncio.to_thread(layout.remove))

    async def _start(
        self, layout: Layout, spec: SandboxSpec, isolation: Isolation, *, warm: bool = False
    ) -> Control:
        if isolation.landlock and layout.owner == NOBODY:
            raise SandboxCreateError("this process can't run programs as a user of their own")
        plan = await self._plan(layout, spec, isolation, warm=warm)
        group = await self._new_group(plan)
        try:
            control = await Control.start(plan, group)
        except BaseException:
            await finish(_remove_group(group))
            raise
        if group is not None and control.group is None:
            self._groups.give_up()
        return control

    async def _new_group(self, plan: dict[str, Any]) -> Group | None:
        if not self._groups.usable:
            return None
        making = asyncio.to_thread(
            self._groups.create, memory=plan["memory"], processes=plan["limits"].get("RLIMIT_NPROC")
        )
        return await obtain(making, _remove_group)

    def _check(self, spec: SandboxSpec) -> None:
        if spec.image is not None and not self._create.ignore_image:
            raise SandboxCreateError(
                f"image {spec.image!r}: the local provider runs no images; use docker or apptainer, or set "
                "create.ignore_image to run with this machine's programs"
            )
        if spec.limits.gpu or spec.limits.gpu_type:
            raise SandboxCreateError("the local provider has no GPUs to give")

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a one-shot program in a warm sandbox, or in a fresh one where nothing is isolated.

        Raises:
            NotIsolated: this machine can't isolate sandboxes as the settings require.
            SandboxCreateError: no sandbox can be started.
            SandboxStopped: the sandbox failed while the program ran.
        """
        if self._isolation is None and self._create.isolation not in ("landlock", "off"):
            async with self._probing:  # the first sandbox is the test of the isolation
                with suppress(SandboxCreateError):
                    self._programs.add(await self._start_warm())
                    self._isolation = Isolation(True)
        if not (await self.isolation()).namespaces:
            return await run_in_fresh_sandbox(self, program)
        return await self._programs.run(program)

    async def _start_warm(self) -> Control:
        """A sandbox that forks programs. Nothing of it is on the disk once it has started."""
        spec = SandboxSpec()
        layout = await self._new_layout(spec, jailed=True)
        try:
            async with asyncio.timeout(self._create.start_timeout_s):
                return await self._start(layout, spec, Isolation(True), warm=True)
        except TimeoutError:
            raise SandboxCreateError("the sandbox was not ready in time") from None
        finally:
            await finish(asyncio.to_thread(layout.remove))

    async def _new_layout(self, spec: SandboxSpec, *, jailed: bool, unique: bool = True) -> Layout:
        """New folders, as `Layout.make` makes them, in a thread: a loaded disk takes milliseconds."""
        making = asyncio.to_thread(Layout.make, self._create, spec, jailed=jailed, unique=unique)
        return await obtain(making, lambda layout: asyncio.to_thread(layout.remove))

    async def _plan(
        self, layout: Layout, spec: SandboxSpec, isolation: Isolation, *, warm: bool = False
    ) -> dict[str, Any]:
        """The first message to the supervisor. What reads and writes files does so in a thread."""
        cores = None
        if spec.limits.cpu:
            usable = sorted(os.sched_getaffinity(0))
            cores = random.sample(usable, min(ceil(spec.limits.cpu), len(usable)))
        user = None if layout.owner is None else INSIDE_ID if layout.jailed else layout.owner
        landlock = isolation.landlock
        limits = process_limits(self._limits, spec, isolated=isolation.holds, landlock=landlock)
        folders = [layout.workdir, layout.home, layout.tmp]
        jail = walls = None
        if layout.jailed:
            jail = await finish(asyncio.to_thread(layout.jail, self._create, in_memory=warm))
        if isolation.landlock:
            walls = await finish(asyncio.to_thread(self._walls, layout))
        return {
            "jail": jail,
            "landlock": walls,
            "folders": folders if isolation.landlock else [],
            "disk": (disk_mib(spec, landlock=landlock) or 0) << 20,
            "shares_user": isolation.landlock and layout.owner is None,
            "user": user,
            "workdir": layout.workdir,
            "ttl_s": spec.ttl_s,
            "cores": cores,
            "limits": limits,
            "memory": limits.get("RLIMIT_DATA"),
            "warm": warm,
            "mounts": [] if isolation.landlock else [SHARED, *(folders if warm else [])],
        }

    def _walls(self, layout: Layout) -> dict[str, Any]:
        """What keeps a sandbox without namespaces closed."""
        network = self._create.network == "host"
        return {
            "rulesets": {"rules": layout.rules(self._create), "network": network, "version": version()},
            "filter": {"network": network, "owner": layout.owner is None},
        }

    async def _prepare(self, sandbox: LocalSandbox, spec: SandboxSpec) -> None:
        for path, text in spec.files.items():
            fd = await sandbox.control.open(sandbox.layout.inside(path), write=True)
            await finish(asyncio.to_thread(_write, fd, text.encode("utf-8", "surrogateescape")))
        if spec.entrypoint:
            with nothing_file() as nothing:
                await sandbox.control.run(spec.entrypoint, sandbox.env, None, [nothing.fileno()] * 3)


async def _remove_group(group: Group | None) -> None:
    if group is not None:
        await asyncio.to_thread(group.remove)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


async def _cpu_s(group: Group | None) -> float | None:
    return None if group is None else await asyncio.to_thread(group.cpu_s)


def _usage(end: End, before: float | None, after: float | None) -> SandboxUsage:
    """The usage of a command.

    Args:
        end: its end.
        before, after: the CPU seconds of the sandbox's control group when the command started and ended.
    """
    if before is None or after is None:
        return SandboxUsage(end.cpu_s, end.peak_kib / 1024, "wait4")
    return SandboxUsage(after - before, end.peak_kib / 1024, "cgroup")


async def _end_of(control: Control, run: Run) -> End:
    """The end of a run, which is killed when this is cancelled."""
    try:
        return await asyncio.shield(run.end)
    except asyncio.CancelledError:
        await control.kill(run)
        raise


def _write(fd: int, data: bytes) -> None:
    with os.fdopen(fd, "wb") as target:
        os.fchmod(fd, 0o644)
        target.write(data)


def _copy_in(source: IO[bytes], fd: int) -> None:
    with os.fdopen(fd, "wb") as target:
        os.fchmod(fd, os.fstat(source.fileno()).st_mode & 0o777 | 0o600)
        shutil.copyfileobj(source, target, _PIECE)


def _copy_out(fd: int, path: Path) -> None:
    with os.fdopen(fd, "rb") as source:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, _PIECE)


async def _remove(layout: Layout, sandbox: LocalSandbox | None) -> None:
    """Each step is done also when the one before it fails or is cancelled."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lambda: finish(asyncio.to_thread(layout.remove)))
        if sandbox is not None:
            stack.push_async_callback(sandbox.ports.close)
            stack.push_async_callback(sandbox.control.close)
            for output in sandbox.outputs:
                output.close()


def _sandbox(handle: SandboxHandle) -> LocalSandbox:
    if not isinstance(handle.raw, LocalSandbox):
        raise InvalidSandbox(f"{handle.sandbox_id} is no sandbox of the local provider")
    return handle.raw


def _check_user(user: str | int | None) -> None:
    if user not in (None, USER, INSIDE_ID):
        raise InvalidSandbox(f"user {user!r}: everything in a local sandbox runs as {USER!r}")
