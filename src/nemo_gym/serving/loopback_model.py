"""The run's own model as a small HTTP server on loopback, for programs as agents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.agents.model_access import ServedModel
from nemo_gym.capture.stores import CaptureStore, MemoryCapture
from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.models.harness_model import RestoringModel
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.host import LoopbackServer
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.rollout_prefix import RolloutPrefix, RolloutTag, rollout_path, rollout_tag
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.conversation_restore import ConversationRestorer
from nemo_gym.wire.model_call import Captured, check_rollout_id
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class LoopbackModel(WrappedModel, ServedModel):
    """A model behind a server at a free port of 127.0.0.1, started at the first visit.

    Args:
        model: the run's own model; closed with this object.
        store: the store of calls; None keeps them in memory until the end of the visit.
        limits: the limits of requests.
    """

    def __init__(
        self, model: Model, *, store: CaptureStore | None = None, limits: Limits | None = None
    ) -> None:
        super().__init__(model)
        self._store = store
        self._limits = limits or Limits()
        self._visits: dict[str, ASGIApp] = {}
        self._server = LoopbackServer("model", self._app)

    async def responses(self, params: RequestParams) -> Response:
        return await self.inner.responses(params)

    @asynccontextmanager
    async def visit(self, rollout_id: str, sampling: Mapping[str, Any]) -> AsyncGenerator[_Visit, None]:
        if check_rollout_id(rollout_id) in self._visits:
            rollout_id = f"{rollout_id[:160]}.{uuid4().hex}"
        store = self._store or MemoryCapture()
        model = RestoringModel(self.inner.for_session_id(rollout_id), ConversationRestorer(), sampling)
        token = Secret.random()
        options = AppOptions(token=token, capture=store, limits=self._limits)
        self._visits[rollout_id] = model_app(model, name=self.name, options=options)
        try:
            await store.clear(rollout_id)
            yield _Visit(rollout_id, await self._server.url(), token, store)
        finally:
            del self._visits[rollout_id]

    async def aclose(self) -> None:
        await self._server.aclose()
        await super().aclose()

    def _app(self) -> Starlette:
        return Starlette(routes=[Mount("", self._route)], middleware=[Middleware(RolloutPrefix)])

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        tag = rollout_tag(scope)
        app = self._visits.get(tag.rollout_id) if tag else None
        if app is None:
            app = JsonResponse({"detail": "no such rollout is under way"}, 404)
        await app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Visit:
    rollout_id: str
    server_url: str
    token: Secret
    store: CaptureStore

    @property
    def base_url(self) -> str:
        return f"{self.server_url}{rollout_path('', RolloutTag(self.rollout_id, True))}"

    @property
    def api_key(self) -> str:
        return self.token.reveal()

    async def captured(self) -> Captured:
        return await self.store.read(self.rollout_id)
