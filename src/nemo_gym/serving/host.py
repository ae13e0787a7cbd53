"""Serves several apps in one process and event loop, each at its own socket."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from nemo_gym.serving.browsers import WebPageGuard
from nemo_gym.serving.protocol import protocol
from nemo_gym.serving.sockets import BACKLOG, bind, http_url

KEEP_ALIVE_S: Final = 30
"""Seconds until an idle connection is closed; clients close it earlier, so that no request is lost."""


class Host:
    """Serves apps until they are stopped, protected from web pages. It does not handle signals.

    Args:
        names: host names of the servers, besides the names of loopback and the addresses of the sockets.
        header_bytes: the most bytes of the headers of a request; `HEAD_BYTES` are always allowed.
        files: whether bodies may be files.
        keep_alive_s: seconds until an idle connection is closed.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        header_bytes: int = 0,
        files: bool = False,
        keep_alive_s: int = KEEP_ALIVE_S,
    ) -> None:
        self._names = frozenset(names)
        self._keep_alive_s = keep_alive_s
        self._files = files
        self._header_bytes = header_bytes
        self._servers: dict[str, _AppServer] = {}
        logging.getLogger("uvicorn.error").addFilter(_is_relevant)

    async def serve(self, name: str, app: Starlette, listener: socket.socket) -> None:
        """Start an app and wait until it answers.

        Raises:
            Exception: the lifespan of the app raises it.
        """
        server = _AppServer(
            app,
            listener,
            self._names,
            self._header_bytes,
            files=self._files,
            keep_alive_s=self._keep_alive_s,
        )
        await server.start()
        self._servers[name] = server

    async def stop(self, names: Iterable[str], *, grace_s: float) -> None:
        """Stop apps at the same time: no new connections, requests in flight finish, then the lifespans end.

        Args:
            grace_s: seconds after which requests still in flight are cancelled.
        """
        servers = [self._servers.pop(name) for name in list(names) if name in self._servers]
        await asyncio.gather(*(server.stop(grace_s) for server in servers))


class _AppServer:
    def __init__(
        self,
        app: Starlette,
        listener: socket.socket,
        names: frozenset[str],
        header_bytes: int,
        *,
        files: bool,
        keep_alive_s: int,
    ) -> None:
        self._app = app
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                WebPageGuard(app, bound=listener.getsockname()[0], names=names, files=files),
                http=protocol(header_bytes),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=logging.getLogger().isEnabledFor(logging.INFO),
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=keep_alive_s,
                backlog=BACKLOG,
            )
        )

    async def start(self) -> None:
        up = asyncio.create_task(self._server.up.wait())
        self._running = asyncio.create_task(self._run())
        try:
            await asyncio.wait({up, self._running}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._listener.close()
            raise
        finally:
            up.cancel()
        if self._running.done():
            self._listener.close()
            await self._running

    async def _run(self) -> None:
        """The lifespan begins and ends in one task, as cancel scopes inside it need."""
        async with self._app.router.lifespan_context(self._app) as state:
            self._server.app_state = dict(state or {})
            self._app.state.lifespan_state = self._server.app_state  # for calls without sockets
            await self._server.serve(sockets=[self._listener])

    async def stop(self, grace_s: float) -> None:
        self._server.config.timeout_graceful_shutdown = max(1, math.ceil(grace_s))
        self._server.should_exit = True
        await self._running


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.app_state: dict[str, Any] = {}
        """The state that the lifespan yields, for `request.state`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self.app_state)
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _is_relevant(record: logging.LogRecord) -> bool:
    """False for a request that was cancelled because its server stops."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class LoopbackServer:
    """An app at a free port of 127.0.0.1, started at its first use.

    Args:
        name: for errors.
        app: creates the app.
    """

    def __init__(self, name: str, app: Callable[[], Starlette]) -> None:
        self._name = name
        self._app = app
        self._host = Host()
        self._url = ""
        self._starting = asyncio.Lock()

    async def url(self) -> str:
        """The URL of the app, which answers from now on."""
        async with self._starting:
            if not self._url:
                app, listener = self._app(), bind("127.0.0.1", 0, self._name)
                await self._host.serve(self._name, app, listener)
                self._url = http_url("127.0.0.1", listener.getsockname()[1])
        return self._url

    async def aclose(self) -> None:
        """Stop the app if it was started."""
        await self._host.stop([self._name], grace_s=1.0)
