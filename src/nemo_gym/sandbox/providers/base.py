"""The interface of a provider of sandboxes. Each optional capability is a protocol: a provider has it when it
has the methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from nemo_gym.sandbox.errors import SandboxCreateError as SandboxCreateError
from nemo_gym.sandbox.errors import SandboxCreateVerificationError as SandboxCreateVerificationError
from nemo_gym.sandbox.errors import SandboxPtyError as SandboxPtyError
from nemo_gym.sandbox.program import Program, ProgramResult
from nemo_gym.sandbox.spec import ExecResult as ExecResult
from nemo_gym.sandbox.spec import SandboxEndpoint as SandboxEndpoint
from nemo_gym.sandbox.spec import SandboxExecResult as SandboxExecResult
from nemo_gym.sandbox.spec import SandboxHandle as SandboxHandle
from nemo_gym.sandbox.spec import SandboxPtySpec as SandboxPtySpec
from nemo_gym.sandbox.spec import SandboxResources as SandboxResources
from nemo_gym.sandbox.spec import SandboxSpec as SandboxSpec
from nemo_gym.sandbox.spec import SandboxStatus as SandboxStatus


@runtime_checkable
class SandboxProvider(Protocol):
    """Creates sandboxes and acts in them."""

    name: str

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A sandbox that is ready for commands.

        Raises:
            SandboxCreateError: it can't be created; nothing of it is left.
        """
        ...

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
            TimeoutError: it took longer; it and what it started in its session are killed.
        """
        ...

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        """Copy a file in; missing folders are created.

        Raises:
            OSError: it can't be read or written.
        """
        ...

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        """Copy a file out; missing folders are created. Only what the sandboxed code can read is copied: a
        link never leads out of the sandbox.

        Raises:
            OSError: it can't be read or written.
        """
        ...

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """The status of the sandbox."""
        ...

    async def close(self, handle: SandboxHandle) -> None:
        """End it and remove what is left of it. A second call does nothing."""
        ...

    async def aclose(self) -> None:
        """Release what the provider holds."""
        ...


@runtime_checkable
class OffersEndpoints(Protocol):
    """Can return the URL of a port."""

    async def endpoint(self, handle: SandboxHandle, port: int) -> SandboxEndpoint:
        """The address of a declared port for use outside of the sandbox."""
        ...


@runtime_checkable
class LaysOutFiles(Protocol):
    """Writes a spec's files before anything runs. With other providers they are uploaded afterwards."""

    lays_out_files: bool


@runtime_checkable
class ReportsIsolation(Protocol):
    """Can name the isolation of a sandbox from this machine."""

    def isolation_of(self, handle: SandboxHandle) -> str:
        """A word or two for a rollout's row; `none` without isolation."""
        ...


@runtime_checkable
class PacksFolders(Protocol):
    """Can write a folder to a pipe while nothing runs inside that could change it."""

    async def pack_folder(self, handle: SandboxHandle, path: str, target: IO[bytes]) -> None:
        """Kill everything inside, then write an archive of a folder, in which the folder has the last part of
        its path as its name. Afterwards only `close` is sure to work.

        Raises:
            OSError: it can't be read, or the reader of the archive has stopped.
        """
        ...


@runtime_checkable
class RunsPrograms(Protocol):
    """Has a faster way for one-shot Python programs than a sandbox for each."""

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a program. Raises like `SandboxPool.run_python`."""
        ...


@runtime_checkable
class ReachesOut(Protocol):
    """Can let the code inside reach a server of this machine."""

    async def reach(self, handle: SandboxHandle, url: str) -> str:
        """The URL at which code inside reaches `url`.

        Raises:
            SandboxUnsupported: the network of this sandbox does not allow it.
        """
        ...


@runtime_checkable
class PtySession(Protocol):
    """A program whose input and output the caller writes and reads."""

    async def read(self) -> bytes:
        """The next output; without a terminal only standard output. It is empty at the end."""
        ...

    async def read_stderr(self) -> bytes:
        """The next output of standard error. It is empty at the end, and always on a terminal."""
        ...

    async def write(self, data: bytes) -> None:
        """Write to its input."""
        ...

    async def resize(self, rows: int, cols: int) -> None:
        """Change the size of its terminal."""
        ...

    async def send_signal(self, number: int) -> None:
        """Send a signal to the program."""
        ...

    async def wait_exit(self) -> int:
        """Its exit code, 128 + the signal's number when it was killed."""
        ...

    async def close(self) -> None:
        """Kill what is left of it. A second call does nothing."""
        ...


SandboxPtySession = PtySession
"""The name that existing NeMo Gym code uses."""


@runtime_checkable
class OffersPty(Protocol):
    """Can open interactive sessions."""

    async def create_pty(self, handle: SandboxHandle, spec: SandboxPtySpec) -> PtySession:
        """Start a program and connect to its input and output."""
        ...


@runtime_checkable
class AttachesPty(Protocol):
    """Can reach an interactive session that somebody else opened."""

    async def attach_pty(self, handle: SandboxHandle, session_id: str) -> PtySession:
        """Take over a session."""
        ...


@runtime_checkable
class HandsOver(Protocol):
    """Can hand a sandbox to another process."""

    def serialize(self, handle: SandboxHandle) -> dict[str, Any]:
        """The data for `connect`, as JSON. It holds no secret."""
        ...

    async def connect(self, descriptor: Mapping[str, Any]) -> SandboxHandle:
        """The sandbox of a descriptor."""
        ...
