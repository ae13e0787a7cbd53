"""A second model, with its own settings, on the engine that another model server started."""

from __future__ import annotations

import asyncio
from typing import Unpack

import msgspec

from nemo_gym.models.base import Model
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.remote import Access, UrlModel
from nemo_gym.models.vllm import VllmSettings
from nemo_gym.transport.exchange import Connections, NoAnswer, Timeouts
from nemo_gym.wire.errors import ModelUnreachable
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class LocalVllmProxyModel(UrlModel):
    """vLLM on the engine of the model server at `url`. The first call asks that server for the engine's URL.

    Args:
        url: the model server's root.
        name: the name of this model; calls to the engine use the engine's own model name.
        api_key: the model server's token.
    """

    Settings = VllmSettings
    needs_name = False

    def __init__(self, url: str, name: str, settings: VllmSettings, **access: Unpack[Access]) -> None:
        self.name = name
        self._settings = settings
        timeouts = access.get("timeouts")
        self._timeout = timeouts.total if timeouts else None
        api_key = access.get("api_key")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        patience = Timeouts(read=_PATIENCE_S, total=_PATIENCE_S)
        self._server = Connections(url.removesuffix("/v1"), headers=headers, timeouts=patience, direct=True)
        self._lock = asyncio.Lock()
        self._model: Model | None = None

    async def responses(self, params: RequestParams) -> Response:
        return await (await self._engine()).responses(params)

    def for_session_id(self, session_id: str) -> Model:
        return _OfSession(self, session_id)

    async def engine_for(self, session_id: str) -> Model:
        """The engine's model for one session.

        Raises:
            ModelUnreachable: the server gives no URL of its engine.
        """
        return (await self._engine()).for_session_id(session_id)

    async def check(self) -> None:
        await (await self._engine()).check()

    async def aclose(self) -> None:
        await self._server.aclose()
        if self._model is not None:
            await self._model.aclose()

    async def _engine(self) -> Model:
        async with self._lock:
            if self._model is None:
                self._model = await self._find()
            return self._model

    async def _find(self) -> Model:
        path = "/get_inner_vllm_config"
        try:
            reply = await self._server.exchange("GET", path)
            access = msgspec.json.decode(reply.content, type=_Access)
        except (NoAnswer, msgspec.DecodeError) as error:
            raise ModelUnreachable(f"{self._server.url}{path} gives no URL of its engine: {error}") from None
        self.name = self.name or access.model
        return endpoint_model(
            "vllm", access.base_url, access.model, api_key=access.api_key,
            timeout=self._timeout, settings=msgspec.structs.asdict(self._settings),
        )  # fmt: skip


class _OfSession(Model):
    """The model as one session sees it."""

    def __init__(self, proxy: LocalVllmProxyModel, session_id: str) -> None:
        self.name = proxy.name
        self._proxy = proxy
        self._session_id = session_id

    async def responses(self, params: RequestParams) -> Response:
        return await (await self._proxy.engine_for(self._session_id)).responses(params)


class _Access(msgspec.Struct):
    base_url: list[str]
    model: str
    api_key: str = ""


_PATIENCE_S = 3600.0
"""Seconds; the server answers only when its engine is loaded."""
