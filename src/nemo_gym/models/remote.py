"""The base class of all models behind HTTP endpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypedDict, Unpack, cast

import msgspec

from nemo_gym.models.base import Model
from nemo_gym.models.guardrails import GuardrailsSettings
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.http import Endpoint
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import ContextOverflow, ModelRejected, SessionBudgetExhausted
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class EndpointSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Settings that every model behind an endpoint has.

    Raises:
        ValueError: settings of a subclass contradict each other.
    """

    extra_body: dict[str, Any] = {}
    """Fields that are added to every request that does not have them."""
    default_headers: dict[str, str] = {}
    max_concurrent_requests: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The most calls of all sessions together that are in progress at once; None means no limit."""
    guardrails: GuardrailsSettings | None = None
    """A NeMo Guardrails server that checks the input and the output of every call."""


class Access(TypedDict, total=False):
    """How to reach an endpoint."""

    api_key: str | None
    timeouts: Timeouts | None
    retry: Retry | None
    direct: bool
    """Whether to ignore the proxies of the environment variables, as for our own servers."""


class UrlModel(Model):
    """A model at a URL; its class is called with the URL, the model's name, the settings and the access."""

    Settings: ClassVar[type[EndpointSettings]] = EndpointSettings
    own_url: ClassVar[str] = ""
    """The default URL."""
    key_variables: ClassVar[tuple[str, ...]] = ()
    """The environment variables that may hold its key. Without any, it needs no key."""
    needs_name: ClassVar[bool] = True
    starts_engine: ClassVar[bool] = False
    """Whether an engine is started for it when there is no URL."""

    @classmethod
    def open(cls, url: str, name: str, settings: Any, **access: Unpack[Access]) -> Model:
        """The model at `url`, of the class that the settings ask for."""
        return cast("Callable[..., Model]", cls)(url, name, settings, **access)


class EndpointModel(UrlModel):
    """A model at a URL, in any dialect.

    Args:
        settings: one of `Settings`; by default with every setting at its default.
        headers: sent with every request, in place of the setting `default_headers`.
    """

    settings: Any

    def __init__(
        self,
        url: str,
        name: str,
        settings: EndpointSettings | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **access: Unpack[Access],
    ) -> None:
        self.settings = settings or self.Settings()
        self.name = name
        headers = self.settings.default_headers if headers is None else headers
        self.endpoint = Endpoint(url, headers=headers, **access)

    async def responses(self, params: RequestParams) -> Response:
        try:
            return await self._ask(params)
        except ContextOverflow:
            return context_overflow(self.name)
        except SessionBudgetExhausted:
            return _cut_off(self.name, "session_budget_exhausted")

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

    path: str
    """The route below the URL."""
    at_root: bool = False
    """Whether it stands beside `/v1`."""

    async def _ask(self, params: RequestParams) -> Response:
        return await self.endpoint.post(self.path, self._request(params), self._parse, at_root=self.at_root)

    @abstractmethod
    def _request(self, params: RequestParams) -> bytes: ...

    @abstractmethod
    def _parse(self, content: bytes) -> Response: ...

    def _add_extras(self, body: dict[str, Any], params: RequestParams) -> None:
        """Add the setting `extra_body` to a request, whose own fields win over it, and then the row's
        `metadata.extra_body` (JSON text), which wins over both."""
        for key, value in self.settings.extra_body.items():
            body.setdefault(key, value)
        metadata = params.get("metadata")
        if metadata and "extra_body" in metadata:
            body.update(json_object(metadata, "extra_body"))
            rest = {key: value for key, value in metadata.items() if key != "extra_body"}
            body.pop("metadata", None)
            if rest:
                body["metadata"] = rest


def request_seed(params: RequestParams) -> int | None:
    """The seed of a request.

    Raises:
        ModelRejected: it is not a whole number.
    """
    metadata = params.get("metadata")
    seed = json_object(metadata, "extra_body").get("seed") if metadata else None
    if seed is not None and not isinstance(seed, int):
        raise ModelRejected(f"seed: expected an integer, got {seed!r}")
    return seed


def json_object(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """The JSON object whose text is a value of a request's metadata; empty when there is no such value.

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
    """The answer of a model when the prompt is too long for its context window."""
    return _cut_off(model, "context_overflow")


def _cut_off(model: str, detail: str) -> Response:
    """An empty answer that ends the rollout."""
    response = Response.of([], model=model, incomplete="max_output_tokens")
    response.data["incomplete_details"]["detail"] = detail
    return response
