"""Calls a FastAPI app of this process, and begins and ends its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from nemo_gym.serving.in_process import AppConnections


class OwnAppConnections(AppConnections):
    """Calls an app. Its lifespan begins with the first request and ends with `aclose`; a later request begins
    a new lifespan."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app)
        self._fastapi = app
        self._lifespan: asyncio.Task[None] | None = None

    async def _state(self) -> Mapping[str, Any]:
        if self._lifespan is None:
            self._begun: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
            self._end = asyncio.Event()
            self._lifespan = asyncio.create_task(self._live(self._begun, self._end))
        return await asyncio.shield(self._begun)

    async def aclose(self) -> None:
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            self._end.set()
            await lifespan

    async def _live(self, state: asyncio.Future[Mapping[str, Any]], end: asyncio.Event) -> None:
        """The lifespan begins and ends in one task, as cancel scopes inside it need."""
        try:
            async with self._fastapi.router.lifespan_context(self._fastapi) as lifespan_state:
                state.set_result(lifespan_state or {})
                await end.wait()
        except Exception as error:
            if state.done():
                raise
            state.set_exception(error)
