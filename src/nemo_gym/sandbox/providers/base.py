"""What a provider of sandboxes offers. Optional capabilities are protocols of their own: a
provider has one when it has the methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from nemo_gym.sandbox.errors import SandboxCreateError as SandboxCreateError
from nemo_gym.sandbox.errors import SandboxCreateVerificationError as SandboxCreateVerificationError
from nemo_gym.sandbox.errors import SandboxPtyError as SandboxPtyError
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
    """Makes sandboxes and acts in them."""

    name: str

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A sandbox that is ready for commands.

        Raises:
            SandboxCreateError: it can't be made; nothing of it is left.
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
        """Copy a file in; folders on the way are made.

        Raises:
            OSError: it can't be read or written.
        """
        ...

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        """Copy a file out; folders on the way are made. What it is inside the sandbox is what the sandboxed
        code could read itself: a link never leads out.

        Raises:
            OSError: it can't be read or written.
        """
        ...

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """The status of the sandbox."""
        ...

    async def close(self, handle: SandboxHandle) -> None:
        """End it and remove what is left of it. Once more does nothing."""
        ...

    async def aclose(self) -> None:
        """End the provider itself."""
        ...


@runtime_checkable
class OffersEndpoints(Protocol):
    """Can return the URL of a port."""

    async def endpoint(self, handle: SandboxHandle, port: int) -> SandboxEndpoint:
        """The endpoint of a declared port, from outside of the sandbox."""
        ...


@runtime_checkable
class LaysOutFiles(Protocol):
    """Has a spec's files in place before anything runs; with other providers they are uploaded afterwards."""

    lays_out_files: bool


@runtime_checkable
class ReportsIsolation(Protocol):
    """Can say how a sandbox is shut off from this machine."""

    def isolation_of(self, handle: SandboxHandle) -> str:
        """A word or two for a rollout's row; `none` where nothing shuts it off."""
        ...


@runtime_checkable
class PacksFolders(Protocol):
    """Can write a folder to a pipe when nothing runs inside any more that could change it meanwhile."""

    async def pack_folder(self, handle: SandboxHandle, path: str, target: IO[bytes]) -> None:
        """Kill everything inside, then write an archive of a folder, called by the last part of its path.
        The sandbox may be good for nothing but `close` afterwards.

        Raises:
            OSError: it can't be read, or nobody reads the archive any more.
        """
        ...


@runtime_checkable
class ReachesOut(Protocol):
    """Can let the code inside get at a server of this machine."""

    async def reach(self, handle: SandboxHandle, url: str) -> str:
        """The URL by which code inside gets at `url`.

        Raises:
            SandboxUnsupported: it can't in a sandbox that is made like this one.
        """
        ...


@runtime_checkable
class PtySession(Protocol):
    """A program whose input and output are in the caller's hands."""

    async def read(self) -> bytes:
        """The next output, from standard output only when there is no terminal; empty at its end."""
        ...

    async def read_stderr(self) -> bytes:
        """The next of standard error; empty at its end, and always on a terminal."""
        ...

    async def write(self, data: bytes) -> None:
        """Type something."""
        ...

    async def resize(self, rows: int, cols: int) -> None:
        """Tell the program another size of its terminal."""
        ...

    async def send_signal(self, number: int) -> None:
        """Send a signal to the program."""
        ...

    async def wait_exit(self) -> int:
        """Its exit code, 128 + the signal's number when it was killed."""
        ...

    async def close(self) -> None:
        """Kill what is left of it. Once more does nothing."""
        ...


SandboxPtySession = PtySession
"""As existing NeMo Gym code calls it."""


@runtime_checkable
class OffersPty(Protocol):
    """Can open interactive sessions."""

    async def create_pty(self, handle: SandboxHandle, spec: SandboxPtySpec) -> PtySession:
        """Start a program and hold its input and output."""
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
