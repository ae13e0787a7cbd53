"""The remote provider: sandboxes of sandbox servers, spread over their URLs."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from urllib.parse import urlsplit

from nemo_gym.sandbox.errors import (
    InvalidSandbox,
    SandboxCreateError,
    SandboxFileError,
    SandboxUnreachable,
    SandboxUnsupported,
)
from nemo_gym.sandbox.program import Program, ProgramResult
from nemo_gym.sandbox.providers.remote import messages
from nemo_gym.sandbox.providers.remote.server import RemoteSandbox, Server
from nemo_gym.sandbox.providers.remote.session import RemoteSession
from nemo_gym.sandbox.spec import (
    SandboxEndpoint,
    SandboxExecResult,
    SandboxHandle,
    SandboxPtySpec,
    SandboxSpec,
    SandboxStatus,
)

T = TypeVar("T")

log: Final = logging.getLogger(__name__)

TOKEN_ENV: Final = "NEMO_GYM_SANDBOX_TOKEN"
"""The environment variable with the token, unless the settings name another one."""
_PIECE: Final = 1 << 20


class RemoteProvider:
    """Sandboxes of one or more sandbox servers (`gym sandbox serve`). A new one goes to the server on which
    this provider has the fewest.

    Args:
        url: the URL of a server, or several.
        token: the token of the servers.
        token_env: the environment variable with that token.
        max_file_mib: the largest file or archive of a folder that is copied in or out.
        request_timeout_s: seconds for one request; one that takes longer is sent again.

    Raises:
        InvalidSandbox: a URL is missing or wrong, or there is no such variable.
    """

    name = "remote"
    lays_out_files = True

    def __init__(
        self,
        *,
        url: str | Sequence[str] = (),
        token: str = "",
        token_env: str = "",
        max_file_mib: int = 256,
        request_timeout_s: float = 60.0,
    ) -> None:
        urls = [url] if isinstance(url, str) else list(url)
        if not urls or not all(urls):
            raise InvalidSandbox("remote.url: expected the URL of a sandbox server, http://10.0.0.7:9000")
        if max_file_mib < 1:
            raise InvalidSandbox(f"remote.max_file_mib: expected a whole number from 1, not {max_file_mib}")
        self._most_bytes = max_file_mib << 20
        token = token or _token_of(token_env)
        self._servers = [
            Server(one, token, most_bytes=self._most_bytes, timeout_s=request_timeout_s) for one in urls
        ]

    def isolation_of(self, handle: SandboxHandle) -> str:
        """The isolation that its server reports."""
        return _sandbox(handle).isolation

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """A sandbox that is ready for commands. When a server does not answer, the next one is tried.

        Raises:
            SandboxCreateError: no server can create it.
        """
        order = messages.Create(messages.SpecFields.of(spec))

        async def create(server: Server) -> SandboxHandle:
            return _handle(await server.start(order))

        try:
            return await self._on_any(create)
        except SandboxUnreachable as error:
            raise SandboxCreateError(str(error)) from error

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
        """Run a line of shell to its end. It runs once, also when a connection is lost meanwhile.

        Raises:
            TimeoutError: it took longer; it and what it started are killed.
            SandboxUnreachable: the server is gone, or has the sandbox no more.
        """
        order = messages.Exec(handle.sandbox_id, command, cwd, env, timeout_s, user)
        return await _server(handle).order(order, SandboxExecResult)

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a one-shot program in the server's own way.

        Raises:
            SandboxCreateError: the server can't start a sandbox.
            SandboxStopped: the sandbox failed while the program ran.
            SandboxUnreachable: no server answers.
        """
        order = messages.RunPython(messages.ProgramFields.of(program))
        end = await self._on_any(lambda server: server.order(order, messages.ProgramEnd))
        return end.program_result()

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        try:
            status = os.stat(source_path)
        except OSError as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error
        if status.st_size > self._most_bytes:
            raise SandboxFileError(f"{source_path} is larger than {self._most_bytes >> 20} MiB")

        async def pieces() -> AsyncGenerator[bytes, str]:
            with source_path.open("rb") as source:
                while piece := await asyncio.to_thread(source.read, _PIECE):
                    yield piece

        order = messages.Upload(handle.sandbox_id, target_path, status.st_mode & 0o777)
        await _server(handle).upload(order, pieces)

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        data = await self._read(handle, source_path)
        try:
            await asyncio.to_thread(_save, target_path, data)
        except OSError as error:
            raise SandboxFileError(f"{source_path} can't be copied to {target_path}: {error}") from error

    async def pack_folder(self, handle: SandboxHandle, path: str, target: IO[bytes]) -> None:
        """Kill everything inside if the server's provider can, then write an archive of a folder.

        Raises:
            SandboxFileError: it can't be read.
            OSError: the reader of the archive has stopped.
        """
        data = await self._read(handle, path, folder=True)
        await asyncio.to_thread(shutil.copyfileobj, BytesIO(data), target, _PIECE)

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        """The status that the server reports; stopped when it has the sandbox no more."""
        try:
            word = await _server(handle).order(messages.Status(handle.sandbox_id), messages.Word)
        except SandboxUnreachable as error:
            return SandboxStatus.STOPPED if error.http_status == messages.REFUSED else SandboxStatus.UNKNOWN
        return SandboxStatus(word.value)

    async def endpoint(self, handle: SandboxHandle, port: int) -> SandboxEndpoint:
        """The address at which the server's provider publishes a port.

        Raises:
            SandboxUnsupported: it is on the loopback interface of another machine.
        """
        server = _server(handle)
        endpoint = await server.order(messages.Endpoint(handle.sandbox_id, port), SandboxEndpoint)
        if _is_loopback(endpoint.endpoint) and not _is_loopback(server.url):
            raise SandboxUnsupported(
                f"port {port} is published at {endpoint.endpoint}, which only the machine of {server.url} "
                "reaches"
            )
        return endpoint

    async def reach(self, handle: SandboxHandle, url: str) -> str:
        """The URL at which code inside reaches a server of this machine.

        Raises:
            SandboxUnsupported: the URL's host is not the address by which the sandbox server knows this
                machine, or its provider does not allow it.
        """
        return (await _server(handle).order(messages.Reach(handle.sandbox_id, url), messages.Word)).value

    async def create_pty(self, handle: SandboxHandle, spec: SandboxPtySpec) -> RemoteSession:
        """Start a program on a terminal or on pipes.

        Raises:
            SandboxPtyError: it can't be started.
        """
        order = messages.PtyOpen(handle.sandbox_id, messages.PtyFields.of(spec))
        session = await _server(handle).order(order, messages.Word)
        return RemoteSession(_server(handle), handle.sandbox_id, session.value)

    def serialize(self, handle: SandboxHandle) -> dict[str, Any]:
        """The data for `connect`: the process that connects needs the token too."""
        return {"sandbox_id": handle.sandbox_id, "url": _server(handle).url}

    async def connect(self, descriptor: Mapping[str, Any]) -> SandboxHandle:
        """The running sandbox of a descriptor.

        Raises:
            InvalidSandbox: its server is not one of the settings.
            SandboxCreateError: the server is gone, or has the sandbox no more.
        """
        url = descriptor.get("url")
        server = next((one for one in self._servers if one.url == url), None)
        if server is None:
            raise InvalidSandbox(f"remote.url: {url!r} is the server of the sandbox, and not in the settings")
        try:
            return _handle(await server.start(messages.Connect(str(descriptor["sandbox_id"]))))
        except SandboxUnreachable as error:
            raise SandboxCreateError(str(error)) from error

    async def close(self, handle: SandboxHandle) -> None:
        """End it. A server that does not answer ends it once its lease is over."""
        await _server(handle).close(handle.sandbox_id)

    async def aclose(self) -> None:
        for server in self._servers:
            await server.aclose()

    async def _read(self, handle: SandboxHandle, path: str, *, folder: bool = False) -> bytes:
        request = messages.FileRequest(handle.sandbox_id, path, self._most_bytes, folder)
        return await _server(handle).read(request)

    async def _on_any(self, work: Callable[[Server], Awaitable[T]]) -> T:
        """The result on the server with the least work, or the next one if that does not answer."""
        tries = sorted(self._servers, key=lambda server: (server.is_down, server.load))
        for server in tries[:-1]:
            try:
                return await work(server)
            except SandboxUnreachable as error:
                log.warning("%s; trying another server", error)
        return await work(tries[-1])


def _token_of(variable: str) -> str:
    if variable and variable not in os.environ:
        raise InvalidSandbox(f"remote.token_env: there is no environment variable {variable}")
    return os.environ.get(variable or TOKEN_ENV, "")


def _handle(sandbox: RemoteSandbox) -> SandboxHandle:
    return SandboxHandle(sandbox.id, RemoteProvider.name, sandbox)


def _sandbox(handle: SandboxHandle) -> RemoteSandbox:
    if not isinstance(handle.raw, RemoteSandbox):
        raise InvalidSandbox(f"{handle.sandbox_id} is no sandbox of the remote provider")
    return handle.raw


def _server(handle: SandboxHandle) -> Server:
    return _sandbox(handle).server


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
