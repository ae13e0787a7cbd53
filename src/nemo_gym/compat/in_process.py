"""A FastAPI app called in this process, from the beginning of its lifespan to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from nemo_gym.serving.in_process import AppConnections


class OwnAppConnections(AppConnections):
    """The lifespan of the app begins with the first request and ends with `aclose`; a later request begins
    another."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app)
        self._fastapi = app
        self._lifespan: _Lifespan | None = None

    async def _state(self) -> Mapping[str, Any]:
        if self._lifespan is None:
            self._lifespan = _Lifespan(self._fastapi)
        return await self._lifespan.begun()

    async def aclose(self) -> None:
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.end()


class _Lifespan:
    """Entered and left in one task, as cancel scopes inside it need."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._up: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def begun(self) -> Mapping[str, Any]:
        """What the lifespan yields for `request.state`, once it has begun."""
        return await asyncio.shield(self._up)

    async def end(self) -> None:
        self._leave.set()
        await self._task

    async def _live(self) -> None:
        try:
            async with self._app.router.lifespan_context(self._app) as state:
                self._up.set_result(state or {})
                await self._leave.wait()
        except Exception as error:
            if self._up.done():
                raise
            self._up.set_exception(error)
