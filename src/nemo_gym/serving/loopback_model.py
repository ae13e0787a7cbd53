"""The run's own model as a small HTTP server on loopback, for programs as agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.agents.model_access import ServedModel
from nemo_gym.capture.stores import CaptureStore, MemoryCapture
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.models.harness_model import RestoringModel
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.host import Host
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.rollout_prefix import RolloutPrefix, RolloutTag, rollout_path, rollout_tag
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind
from nemo_gym.wire.conversation_restore import Replayed
from nemo_gym.wire.model_call import Captured, check_rollout_id
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class LoopbackModel(ServedModel):
    """`model` behind a server on a free port of 127.0.0.1, started with the first visit.

    Args:
        model: the run's own model; closed with this object.
        store: where calls are kept; None keeps them in memory for as long as the visit lasts.
        limits: of requests.
    """

    def __init__(
        self, model: Model, *, store: CaptureStore | None = None, limits: Limits | None = None
    ) -> None:
        self.name = model.name
        self._model = model
        self._store = store
        self._limits = limits or Limits()
        self._visits: dict[str, ASGIApp] = {}
        self._host = Host()
        self._port = 0
        self._starting = asyncio.Lock()

    @property
    def pushbacks(self) -> int:
        return self._model.pushbacks

    async def responses(self, params: RequestParams) -> Response:
        return await self._model.responses(params)

    def for_session(self, session: Session) -> Model:
        return self._model.for_session(session)

    async def check(self) -> None:
        await self._model.check()

    @asynccontextmanager
    async def visit(self, rollout_id: str, sampling: Mapping[str, Any]) -> AsyncGenerator[_Visit, None]:
        if check_rollout_id(rollout_id) in self._visits:
            rollout_id = f"{rollout_id[:160]}.{uuid4().hex}"
        store = self._store or MemoryCapture()
        model = RestoringModel(self._model.for_session_id(rollout_id), Replayed(), sampling)
        token = Secret.random()
        options = AppOptions(token=token, capture=store, limits=self._limits)
        self._visits[rollout_id] = model_app(model, name=self.name, options=options)
        try:
            await store.clear(rollout_id)
            yield _Visit(rollout_id, await self._opened(), token, store)
        finally:
            del self._visits[rollout_id]

    async def aclose(self) -> None:
        await self._host.stop([_NAME], grace_s=1.0)
        await self._model.aclose()

    async def _opened(self) -> int:
        """The port, listened at from now on."""
        async with self._starting:
            if not self._port:
                listener = bind("127.0.0.1", 0, _NAME)
                app = Starlette(routes=[Mount("", self._route)], middleware=[Middleware(RolloutPrefix)])
                await self._host.serve(_NAME, app, listener)
                self._port = listener.getsockname()[1]
        return self._port

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        tag = rollout_tag(scope)
        app = self._visits.get(tag.rollout_id) if tag else None
        if app is None:
            app = JsonResponse({"detail": "no such rollout is going on"}, 404)
        await app(scope, receive, send)


_NAME: Final = "model"


@dataclass(frozen=True, slots=True)
class _Visit:
    rollout_id: str
    port: int
    token: Secret
    store: CaptureStore

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{rollout_path('', RolloutTag(self.rollout_id, True))}"

    @property
    def api_key(self) -> str:
        return self.token.reveal()

    async def captured(self) -> Captured:
        return await self.store.read(self.rollout_id)
