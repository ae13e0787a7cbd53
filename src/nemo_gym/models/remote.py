"""The base class of all models behind HTTP endpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypedDict, Unpack, cast

import msgspec

from nemo_gym.models.base import Model
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.http import Endpoint
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import ContextOverflow, ModelRejected
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class EndpointSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Settings that every model behind an endpoint has.

    Raises:
        ValueError: of a subclass, when settings contradict each other.
    """

    extra_body: dict[str, Any] = {}
    """Fields of every request that doesn't set them itself."""
    default_headers: dict[str, str] = {}
    max_concurrent_requests: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Calls that may be under way at once, those of all sessions together; None is any number."""


class Access(TypedDict, total=False):
    """How an endpoint is reached, whatever is asked there."""

    api_key: str | None
    timeouts: Timeouts | None
    retry: Retry | None
    direct: bool
    """Whether the environment's proxies are left aside, as for servers of our own."""


class UrlModel(Model):
    """A model at a URL, built from settings; the class names the settings that it needs."""

    Settings: ClassVar[type[EndpointSettings]] = EndpointSettings
    own_url: ClassVar[str] = ""
    """Where it is unless a URL is given."""
    key_variables: ClassVar[tuple[str, ...]] = ()
    """Where its key is looked for; without any, it is called without a key unless one is given."""
    needs_name: ClassVar[bool] = True
    starts_engine: ClassVar[bool] = False
    """Whether an engine is started for it when no URL is given."""

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        settings: Any,
        **access: Unpack[Access],
    ) -> Model:
        """The model at `url`; `settings` is one of `Settings`."""
        make = cast("Callable[..., Model]", cls)
        return make(url, name, settings, **access)


class EndpointModel(UrlModel):
    """A model at a URL, whatever is sent there."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        **access: Unpack[Access],
    ) -> None:
        self.name = name
        self.endpoint = Endpoint(url, headers=headers, **access)

    async def responses(self, params: RequestParams) -> Response:
        try:
            return await self._ask(params)
        except ContextOverflow:
            return context_overflow(self.name)

    async def check(self) -> None:
        await self.endpoint.check()

    async def aclose(self) -> None:
        await self.endpoint.aclose()

    @property
    def pushbacks(self) -> int:
        return self.endpoint.pushbacks

    @abstractmethod
    async def _ask(self, params: RequestParams) -> Response: ...


class RemoteModel(EndpointModel):
    """A model that is asked with one POST."""

    path: ClassVar[str]

    def __init__(
        self,
        url: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        extra_body: Mapping[str, Any] | None = None,
        **access: Unpack[Access],
    ) -> None:
        super().__init__(url, name, **access, headers=headers)
        self._query = query
        self._extra_body = dict(extra_body or {})

    async def _ask(self, params: RequestParams) -> Response:
        return await self.endpoint.post(self.path + self._query, self._request(params), self._parse)

    @abstractmethod
    def _request(self, params: RequestParams) -> bytes: ...

    @abstractmethod
    def _parse(self, content: bytes) -> Response: ...

    def _add_extras(self, body: dict[str, Any], params: RequestParams) -> None:
        """Configured extras under the request's own fields, and the row's (`metadata.extra_body`, JSON text)
        over them."""
        for key, value in self._extra_body.items():
            body.setdefault(key, value)
        metadata = params.get("metadata")
        if metadata and "extra_body" in metadata:
            body.update(json_object(metadata, "extra_body"))
            rest = {key: value for key, value in metadata.items() if key != "extra_body"}
            body.pop("metadata", None)
            if rest:
                body["metadata"] = rest


def json_object(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """A value of a request's metadata that is a JSON object as text; empty when there is none.

    Raises:
        ModelRejected: it is not a JSON object.
    """
    text = metadata.get(name)
    if text is None:
        return {}
    try:
        value = decode(text)
    except msgspec.DecodeError as error:
        raise ModelRejected(f"metadata.{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelRejected(f"metadata.{name} must be a JSON object")
    return value  # type: ignore[return-value]


def context_overflow(model: str) -> Response:
    """The answer of a model whose context window the prompt no longer fits."""
    response = Response.of([], model=model, incomplete="max_output_tokens")
    response.data["incomplete_details"]["detail"] = "context_overflow"
    return response
