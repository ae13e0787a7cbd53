"""The `Sandbox` class, the same for every provider."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from nemo_gym.sandbox.errors import InvalidSandbox, SandboxNotStarted, SandboxUnsupported
from nemo_gym.sandbox.folders import copy_folder, save_archive, upload_texts
from nemo_gym.sandbox.providers.base import (
    HandsOver,
    LaysOutFiles,
    OffersEndpoints,
    ReachesOut,
    ReportsIsolation,
    SandboxProvider,
)
from nemo_gym.sandbox.providers.registry import create_provider
from nemo_gym.sandbox.pty import PtySessions
from nemo_gym.sandbox.spec import (
    SandboxEndpoint,
    SandboxExecResult,
    SandboxHandle,
    SandboxSpec,
    SandboxStatus,
)
from nemo_gym.support.finishing import finish

log: Final = logging.getLogger(__name__)

Provider = str | Mapping[str, Any] | SandboxProvider


class AsyncSandbox:
    """One sandbox. `start` creates it, and leaving its context stops it.

    ```python
    async with AsyncSandbox() as sandbox:
        await sandbox.start()
        result = await sandbox.exec("python3 -c 'print(6 * 7)'")
    ```

    Args:
        provider: a name, `{name: settings}`, or a provider that several sandboxes share and that the
            caller closes. `local` runs commands on this machine, isolated as far as its kernel allows.
        spec: used where `start` gets none.

    Raises:
        InvalidSandbox: there is no such provider, or its settings don't fit.
    """

    def __init__(self, provider: Provider = "local", spec: SandboxSpec | None = None) -> None:
        if isinstance(provider, str):
            provider = {provider: {}}
        self._owns_provider = isinstance(provider, Mapping)
        self._provider = create_provider(provider) if isinstance(provider, Mapping) else provider
        self._spec = spec
        self._handle: SandboxHandle | None = None
        self.pty = PtySessions(self._provider, self._started)

    @property
    def id(self) -> str:
        """Its id with its provider."""
        return self._started().sandbox_id

    @property
    def provider_name(self) -> str:
        """The name of its provider."""
        return self._provider.name

    @property
    def isolation(self) -> str:
        """How it is isolated from this machine, such as `namespaces`, `container` or `none`."""
        provider, handle = self._provider, self._started()
        return provider.isolation_of(handle) if isinstance(provider, ReportsIsolation) else "unknown"

    async def start(self, spec: SandboxSpec | None = None) -> Self:
        """Create it, and return when it is ready and has the spec's files.

        Raises:
            SandboxCreateError: it can't be created.
            RuntimeError: it is started already.
        """
        if self._handle is not None:
            raise RuntimeError("sandbox is started already")
        spec = spec or self._spec or SandboxSpec()
        handle = await self._provider.create(spec)
        if not (isinstance(self._provider, LaysOutFiles) and self._provider.lays_out_files):
            try:
                await upload_texts(self._provider, handle, spec.files)
            except BaseException:
                await self._close(handle)
                raise
        self._spec, self._handle = spec, handle
        return self

    async def exec(
        self,
        command: str,
        *,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_s: int | float | None = 180,
        user: str | int | None = None,
    ) -> SandboxExecResult:
        """Run a line of shell to its end.

        Args:
            command: the line.
            cwd: a folder; a relative path starts at the working directory, which is the default.
            env: variables beside the spec's.
            timeout_s: seconds that it may take; None is the provider's own limit.
            user: the user that runs it, where the provider knows users.

        Raises:
            TimeoutError: it took longer and was killed, with all that it started in its session.
            SandboxNotStarted: the sandbox is not running.
        """
        handle = self._started()
        return await self._provider.exec(handle, command, cwd=cwd, env=env, timeout_s=timeout_s, user=user)

    async def upload(self, local_path: Path | str, remote_path: str) -> None:
        """Copy a file in.

        Raises:
            OSError: it can't be read or written.
        """
        await self._provider.upload_file(self._started(), Path(local_path), remote_path)

    async def download(self, remote_path: str, local_path: Path | str) -> None:
        """Copy a file out.

        Raises:
            OSError: it can't be read or written.
        """
        await self._provider.download_file(self._started(), remote_path, Path(local_path))

    async def download_folder(self, remote_path: str, local_path: Path | str, *, most_bytes: int) -> None:
        """End everything that runs inside, and copy a folder out. Nothing is written outside of `local_path`,
        whatever the folder holds: devices, pipes and links that lead out of it are skipped. Afterwards the
        sandbox may be of no more use: only `stop` is sure to work.

        Args:
            remote_path: the folder inside.
            local_path: an empty folder. When something is raised it may hold a part of the files.
            most_bytes: the limit for all files together.

        Raises:
            ArchiveRefused: it is too large, too deep, or a trick.
            OSError: it can't be read or written.
        """
        await copy_folder(
            self._provider, self._started(), remote_path, Path(local_path), most_bytes=most_bytes
        )

    async def save_archive(self, remote_path: str, local_path: Path, *, most_bytes: int) -> None:
        """End everything that runs inside, as `download_folder` does, and write an archive of a folder to a
        new file. It is not trusted: do not unpack it with other programs.

        Raises:
            ArchiveRefused: it is too large.
            OSError: it can't be read or written.
        """
        await save_archive(self._provider, self._started(), remote_path, local_path, most_bytes=most_bytes)

    async def status(self) -> SandboxStatus:
        """The status of the sandbox."""
        if self._handle is None:
            return SandboxStatus.STOPPED
        return await self._provider.status(self._handle)

    async def endpoint(self, port: int) -> SandboxEndpoint:
        """The address of a port for use outside of the sandbox.

        Raises:
            InvalidSandbox: the port is not one of the spec's.
            SandboxUnsupported: the provider's sandboxes can't be reached.
        """
        handle = self._started()
        if self._spec is not None and port not in self._spec.ports:
            raise InvalidSandbox(f"port {port} is not in SandboxSpec.ports ({list(self._spec.ports)})")
        if not isinstance(self._provider, OffersEndpoints):
            raise SandboxUnsupported(f"sandbox provider {self._provider.name!r} has no endpoints")
        return await self._provider.endpoint(handle, port)

    async def reach(self, url: str) -> str:
        """The URL at which code inside reaches a server of this machine.

        Raises:
            SandboxUnsupported: the provider, or the network of this sandbox, does not allow it.
        """
        handle = self._started()
        if not isinstance(self._provider, ReachesOut):
            raise SandboxUnsupported(
                f"sandbox provider {self._provider.name!r} does not let a sandbox reach {url}"
            )
        return await self._provider.reach(handle, url)

    async def stop(self) -> None:
        """End it and remove what is left of it. A second call does nothing. A warning names what can't be
        removed: the work in the sandbox is over and has not failed by that."""
        handle, self._handle = self._handle, None
        if handle is not None:
            await self._close(handle)
        if self._owns_provider:
            try:
                await self._provider.aclose()
            except Exception as error:
                log.warning("sandbox provider %s can't be closed: %r", self._provider.name, error)

    def serialize(self, scope: str | None = None) -> dict[str, Any]:
        """A descriptor with which another process can `connect`. It contains `scope` as a label.

        Raises:
            SandboxUnsupported: a sandbox of this provider ends with the process that created it.
        """
        handle = self._started()
        if not isinstance(self._provider, HandsOver):
            raise SandboxUnsupported(f"sandbox provider {self._provider.name!r} can't hand a sandbox over")
        return {"provider": self._provider.name, "scope": scope, **self._provider.serialize(handle)}

    @classmethod
    async def connect(cls, descriptor: Mapping[str, Any], provider: Provider | None = None) -> Self:
        """The running sandbox of a descriptor.

        Args:
            descriptor: the result of `serialize`.
            provider: by default the descriptor's, with default settings.

        Raises:
            SandboxUnsupported: the provider can't do this.
            SandboxCreateError: the sandbox does not exist any more.
        """
        sandbox = cls(provider or str(descriptor.get("provider")))
        if not isinstance(sandbox._provider, HandsOver):
            raise SandboxUnsupported(f"sandbox provider {sandbox._provider.name!r} can't take a sandbox over")
        sandbox._handle = await sandbox._provider.connect(descriptor)
        return sandbox

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _close(self, handle: SandboxHandle) -> None:
        """Close it. A cancellation waits until it is closed."""
        try:
            await finish(self._provider.close(handle))
        except Exception as error:
            log.warning("sandbox %s can't be removed: %r", handle.sandbox_id, error)

    def _started(self) -> SandboxHandle:
        if self._handle is None:
            raise SandboxNotStarted("sandbox is not running: call start() first")
        return self._handle
