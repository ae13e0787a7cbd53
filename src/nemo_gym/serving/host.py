"""Many apps in one process and event loop, each on its own socket."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from nemo_gym.serving.browsers import WebPageGuard
from nemo_gym.serving.protocol import protocol
from nemo_gym.serving.sockets import BACKLOG

KEEP_ALIVE_S: Final = 30
"""An idle connection is kept this long: longer than clients keep it, so that none closes under a request."""


class Host:
    """Serves apps until they are stopped, out of the reach of web pages. It leaves signals to the program it
    is part of.

    Args:
        names: host names by which clients know the servers, besides those of loopback and the addresses that
            they are bound to.
        header_bytes: that the headers of a request may have; `HEAD_BYTES` are always taken.
    """

    def __init__(self, names: Iterable[str] = (), *, header_bytes: int = 0) -> None:
        self._names = frozenset(names)
        self._header_bytes = header_bytes
        self._served: dict[str, _Served] = {}
        logging.getLogger("uvicorn.error").addFilter(_is_news)

    async def serve(self, name: str, app: Starlette, listener: socket.socket) -> None:
        """Start an app; when this returns it answers.

        Raises:
            Exception: whatever the app's lifespan raises while it starts.
        """
        served = _Served(app, listener, self._names, self._header_bytes)
        await served.start()
        self._served[name] = served

    async def stop(self, names: Iterable[str], *, grace_s: float) -> None:
        """Stop apps side by side: no new connections, requests in flight finish, then the lifespans end.

        Args:
            grace_s: seconds after which requests still in flight are cancelled.
        """
        chosen = [self._served.pop(name) for name in list(names) if name in self._served]
        await asyncio.gather(*(served.stop(grace_s) for served in chosen))


class _Served:
    def __init__(
        self, app: Starlette, listener: socket.socket, names: frozenset[str], header_bytes: int
    ) -> None:
        self._app = app
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                WebPageGuard(app, bound=listener.getsockname()[0], names=names),
                http=protocol(header_bytes),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=logging.getLogger().isEnabledFor(logging.INFO),
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
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
            self._app.state.begun_with = self._server.app_state  # for calls without sockets
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
        """What the lifespan yielded, for `request.state`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self.app_state)
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _is_news(record: logging.LogRecord) -> bool:
    """False for a request that was cancelled because its server stopped."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class Grace:
    """What is left of the seconds that a stop may take altogether."""

    def __init__(self, seconds: float) -> None:
        self._ends = monotonic() + seconds

    @property
    def left_s(self) -> float:
        return max(0.0, self._ends - monotonic())
