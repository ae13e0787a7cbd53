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
    """vLLM where the model server at `url` says that its engine is; it is asked with the first call.

    Args:
        url: the model server's root.
        name: what this model is called; the engine is asked for its own.
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
        self._finding = asyncio.Lock()
        self._found: Model | None = None

    async def responses(self, params: RequestParams) -> Response:
        return await (await self._engine()).responses(params)

    def for_session_id(self, session_id: str) -> Model:
        return _OfSession(self, session_id)

    async def engine_for(self, session_id: str) -> Model:
        """The engine's model for one session.

        Raises:
            ModelUnreachable: the server does not say where its engine is.
        """
        return (await self._engine()).for_session_id(session_id)

    async def check(self) -> None:
        await (await self._engine()).check()

    async def aclose(self) -> None:
        await self._server.aclose()
        if self._found is not None:
            await self._found.aclose()

    async def _engine(self) -> Model:
        async with self._finding:
            if self._found is None:
                self._found = await self._find()
            return self._found

    async def _find(self) -> Model:
        path = "/get_inner_vllm_config"
        try:
            reply = await self._server.exchange("GET", path)
            access = msgspec.json.decode(reply.content, type=_Access)
        except (NoAnswer, msgspec.DecodeError) as error:
            raise ModelUnreachable(
                f"{self._server.url}{path} does not say where its engine is: {error}"
            ) from None
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
"""The server answers once its engine is loaded."""
