"""The base class of providers that use the command line of a container program."""

from __future__ import annotations

import asyncio
import os
import shlex
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, ClassVar, Final

from nemo_gym.sandbox.archive import PACKED, packing_words
from nemo_gym.sandbox.errors import (
    InvalidSandbox,
    SandboxCreateError,
    SandboxCreateVerificationError,
    SandboxFileError,
)
from nemo_gym.sandbox.providers.cli import Cli, CliResult
from nemo_gym.sandbox.spec import RUNTIME_FAILURE, SandboxExecResult, SandboxHandle, SandboxSpec

MARK: Final = "NEMO_GYM_SANDBOX_RUN"
"""A variable in the environment of every command. The processes that have it are killed with the command."""

COPY_S: Final = 600.0
"""Seconds that a copy may take."""
_KILL_OTHERS: Final = (
    'own=$1; shift; ns=$(readlink /proc/self/ns/pid) && [ -n "$ns" ] && [ "$ns" != "$own" ] '
    '&& kill -9 -1 2>/dev/null; exec "$@"'
)
"""Kill all processes of a process namespace, unless it is this machine's; then become another program."""


@dataclass(frozen=True)
class ContainerExecConfig:
    """How commands run."""

    default_timeout_s: float | None = 180
    concurrency: int = 32
    """The most commands at once, in all sandboxes of the provider."""
    exec_shell: str | None = "auto"
    """`auto`, and None, is bash, or sh where the image has none."""
    output_bytes: int = 1 << 20
    """The limit for each output stream: half from its beginning, half from its end."""


@dataclass(frozen=True)
class ProbeConfig:
    """The command that tests whether a new sandbox is ready."""

    command: str | None = "printf sandbox-ready"
    """None tests nothing."""
    expected_stdout: str | None = "sandbox-ready"
    timeout_s: float = 30
    """Seconds for one try."""
    deadline_s: float | None = 60
    """Seconds for all tries."""
    stable_count: int = 1
    """The number of times in a row that it must pass."""
    stable_delay_s: float = 0.2


@dataclass(slots=True)
class Container:
    """A running container: the `raw` of its handle."""

    name: str
    env: dict[str, str]
    """Variables for every command, where the container does not have them itself."""
    workdir: str | None
    shell: str


class ContainerProvider(ABC):
    """Commands and files by `exec`. A subclass knows the arguments of its program."""

    name: ClassVar[str]
    lays_out_files = True
    runtime_failures: ClassVar[tuple[str, ...]]
    """The beginnings of error messages of the program itself, not of a command that it runs."""

    def __init__(
        self,
        program: str,
        exec_config: ContainerExecConfig,
        probe: ProbeConfig,
        *,
        start_timeout_s: float | None,
    ) -> None:
        self._exec_config = exec_config
        self._probe = probe
        self._start_timeout_s = start_timeout_s
        self._cli = Cli(program, concurrency=exec_config.concurrency, output_bytes=exec_config.output_bytes)

    def isolation_of(self, handle: SandboxHandle) -> str:
        """A container."""
        return "container"

    @abstractmethod
    def exec_words(
        self,
        container: Container,
        argv: Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str],
        user: str | int | None,
        stdin: bool,
    ) -> tuple[list[str], dict[str, str]]:
        """The program's arguments that run `argv` inside, and variables for the program itself."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Kill a container and remove what is left of it. A container that is gone is no error."""

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
        """Run a line of shell to its end.

        Raises:
            TimeoutError: it took longer; it and what it started are killed.
        """
        container = _container(handle)
        mark = uuid.uuid4().hex
        limit = self._exec_config.default_timeout_s if timeout_s is None else timeout_s
        try:
            result = await self._inside(
                container,
                [container.shell, "-c", command],
                cwd=cwd or container.workdir,
                env={**container.env, **(env or {}), MARK: mark},
                user=user,
                seconds=limit,
            )
        except (TimeoutError, asyncio.CancelledError) as error:
            await self._kill(container, mark)
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"command took more than {limit:g} seconds and was killed") from None
            raise
        except OSError as error:
            return SandboxExecResult(None, f"the command can't be started: {error}", RUNTIME_FAILURE, "start")
        if self._is_runtime_failure(result):
            return SandboxExecResult(result.stdout, result.stderr, RUNTIME_FAILURE, self.name)
        return SandboxExecResult(result.stdout, result.stderr, result.code)

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        try:
            with source_path.open("rb") as source:
                await self._write(_container(handle), target_path, source)
        except (OSError, SandboxCreateError) as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        """Copy a file out. It is read inside, so that a link never leads out.

        Raises:
            SandboxFileError: it can't be read or written.
        """
        container = _container(handle)
        try:
            target_path.parent.mkdir(parents=True, exist_ok=True)
            with target_path.open("wb") as target:
                result = await self._inside(
                    container,
                    ["cat", "--", source_path],
                    cwd=container.workdir,
                    seconds=COPY_S,
                    stdout=target,
                )
        except (OSError, SandboxCreateError) as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error
        if result.code != 0:
            await asyncio.to_thread(target_path.unlink, missing_ok=True)
            raise SandboxFileError(f"{source_path} can't be copied: {result.stderr.strip()[-500:]}")

    async def pack_folder(self, handle: SandboxHandle, path: str, target: IO[bytes]) -> None:
        """Kill everything inside but the container's first process, then write an archive of a folder.

        Raises:
            SandboxFileError: it can't be read.
        """
        own = await asyncio.to_thread(os.readlink, "/proc/self/ns/pid")
        words = ["sh", "-c", _KILL_OTHERS, "sh", own, *packing_words(path)]
        result = await self._inside(_container(handle), words, cwd="/", seconds=COPY_S, stdout=target)
        if result.code not in PACKED:
            raise SandboxFileError(f"{path} can't be packed: {result.stderr.strip()[-500:]}")

    async def close(self, handle: SandboxHandle) -> None:
        await self.remove(_container(handle).name)

    async def aclose(self) -> None:
        return

    async def start(self, name: str, words: Sequence[str], variables: Mapping[str, str], what: str) -> None:
        """Start a container. When that fails, remove it.

        Args:
            name: the container's.
            words: the program's arguments that start it.
            variables: for the program itself.
            what: the action, for messages.

        Raises:
            SandboxCreateError: it can't be started, or not in time.
        """
        try:
            result = await self._cli.run(words, seconds=self._start_timeout_s, env=variables)
            if result.code != 0:
                raise SandboxCreateError(f"{what}: {result.stderr.strip()[-1000:]}")
        except BaseException as error:
            await asyncio.shield(self.remove(name))
            if isinstance(error, TimeoutError):
                raise SandboxCreateError(f"{what} took more than {self._start_timeout_s:g} seconds") from None
            raise

    async def settle(
        self, name: str, spec: SandboxSpec, workdir: str | None, env: dict[str, str]
    ) -> SandboxHandle:
        """Make a container ready. When that fails, remove it.

        Raises:
            SandboxCreateError: a file can't be written, or the probe does not pass.
        """
        container = Container(name, env, workdir, "sh")
        handle = SandboxHandle(name, self.name, container)
        try:
            deadline_s = spec.ready_timeout_s or self._probe.deadline_s
            await wait_ready(lambda: self._run_probe(handle), self._probe, deadline_s)
            container.shell = await self._find_shell(container)
            for path, text in spec.files.items():
                with TemporaryFile() as source:
                    source.write(text.encode("utf-8", "surrogateescape"))
                    source.seek(0)
                    await self._write(container, path, source)
        except BaseException as error:
            await asyncio.shield(self.remove(name))
            if isinstance(error, OSError):
                raise SandboxCreateError(f"the sandbox can't be prepared: {error}") from error
            raise
        return handle

    async def _run_probe(self, handle: SandboxHandle) -> SandboxExecResult:
        return await self.exec(handle, self._probe.command or "", timeout_s=self._probe.timeout_s)

    async def _find_shell(self, container: Container) -> str:
        shell = self._exec_config.exec_shell
        if shell is not None and shell != "auto":
            return shell
        result = await self._inside(container, ["sh", "-c", "command -v bash"], seconds=self._probe.timeout_s)
        return "bash" if result.code == 0 else "sh"

    async def _write(self, container: Container, path: str, source: IO[bytes]) -> None:
        result = await self._inside(
            container,
            ["sh", "-c", 'mkdir -p -- "$1" && cat > "$2"', "sh", str(PurePosixPath(path).parent), path],
            cwd=container.workdir,
            seconds=COPY_S,
            stdin=source,
        )
        if result.code != 0:
            raise SandboxFileError(f"{path} can't be written: {result.stderr.strip()[-500:]}")

    async def _kill(self, container: Container, mark: str) -> None:
        """Kill the processes with this mark: a command goes on when the command line that runs it ends. The
        container needs sh and grep."""
        script = (
            f"for p in /proc/[0-9]*; do grep -q {shlex.quote(f'{MARK}={mark}')} $p/environ 2>/dev/null "
            "&& kill -9 ${p#/proc/}; done"
        )
        with suppress(OSError, SandboxCreateError):
            await self._inside(container, ["sh", "-c", script], seconds=self._probe.timeout_s)

    async def _inside(
        self,
        container: Container,
        argv: Sequence[str],
        *,
        seconds: float | None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | int | None = None,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> CliResult:
        words, variables = self.exec_words(
            container, argv, cwd=cwd, env=env or {}, user=user, stdin=stdin is not None
        )
        return await self._cli.run(words, seconds=seconds, env=variables, stdin=stdin, stdout=stdout)

    def _is_runtime_failure(self, result: CliResult) -> bool:
        return result.code != 0 and result.stderr.lstrip().startswith(self.runtime_failures)


async def wait_ready(
    run_probe: Callable[[], Awaitable[SandboxExecResult]], probe: ProbeConfig, deadline_s: float | None
) -> None:
    """Run a probe until it passes as often as it must.

    Raises:
        SandboxCreateVerificationError: it did not pass in time.
    """
    if probe.command is None:
        return
    end = None if deadline_s is None else monotonic() + deadline_s
    passes, last = 0, "no answer"
    while passes < probe.stable_count:
        try:
            result = await run_probe()
            fits = result.return_code == 0 and probe.expected_stdout in (None, result.stdout)
            last = f"exit code {result.return_code}: {(result.stderr or result.stdout or '').strip()[-300:]}"
        except TimeoutError as error:
            fits, last = False, str(error)
        passes = passes + 1 if fits else 0
        if passes < probe.stable_count:
            if end is not None and monotonic() >= end:
                raise SandboxCreateVerificationError(
                    f"sandbox was not ready within {deadline_s:g} seconds: {last}"
                )
            await asyncio.sleep(probe.stable_delay_s)


def limit_words(spec: SandboxSpec) -> list[str]:
    """Flags that keep a container within the spec's cores and memory."""
    words: list[str] = []
    if spec.limits.cpu is not None:
        words += ["--cpus", f"{spec.limits.cpu:g}"]
    if spec.limits.memory_mib is not None:
        words += ["--memory", f"{spec.limits.memory_mib}m"]
    return words


def env_words(env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Flags that pass variables on from the program's own environment, and these variables. So no value is in
    an argument list, which everybody can read, but for names that the program itself uses."""
    words: list[str] = []
    variables: dict[str, str] = {}
    for name, value in env.items():
        if name in _OF_THE_PROGRAM or name.startswith(("DOCKER_", "XDG_")):
            words += ["--env", f"{name}={value}"]
        else:
            words += ["--env", name]
            variables[name] = value
    return words, variables


_OF_THE_PROGRAM: Final = frozenset({"HOME", "PATH", "SSH_AUTH_SOCK", "TMPDIR", "USER"})


def _container(handle: SandboxHandle) -> Container:
    if not isinstance(handle.raw, Container):
        raise InvalidSandbox(f"{handle.sandbox_id} is no container")
    return handle.raw
