"""Model back end for endpoints of the Anthropic Messages API."""

from __future__ import annotations

from typing import Any, Final, Unpack

from nemo_gym.models.remote import Access, EndpointSettings, RemoteModel, json_object
from nemo_gym.wire.errors import ModelRejected, UsageError
from nemo_gym.wire.items import Item, message_text
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.messages import PAUSED, messages_request, messages_response
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response, add_usage

API_VERSION: Final = "2023-06-01"


class AnthropicSettings(EndpointSettings, kw_only=True, frozen=True):
    """The additional settings of an Anthropic endpoint."""

    max_tokens: int = 8192
    """The limit of an answer, in tokens, for a request without one; this API requires a limit."""
    thinking: dict[str, Any] | None = None
    """The API's own object, for instance `{"type": "adaptive"}`."""
    thinking_budget_tokens: int | None = None
    """A short form of `thinking={"type": "enabled", "budget_tokens": N}`."""


class AnthropicModel(RemoteModel):
    """`POST {url}/messages`; tool calls and signed reasoning are converted in both directions.

    Raises:
        UsageError: more than one setting configures thinking.
    """

    Settings = AnthropicSettings
    own_url = "https://api.anthropic.com/v1"
    key_variables = ("ANTHROPIC_API_KEY",)
    path = "/messages"

    def __init__(
        self, url: str, name: str, settings: AnthropicSettings | None = None, **access: Unpack[Access]
    ) -> None:
        settings = settings or AnthropicSettings()
        self._thinking = _thinking(settings)
        self._signs = url.startswith(self.own_url)
        """Whether the endpoint is known to sign its reasoning."""
        headers = {"anthropic-version": API_VERSION, **settings.default_headers}
        if api_key := access.pop("api_key", None):
            headers["x-api-key"] = api_key
        super().__init__(url.strip().removesuffix("/messages"), name, settings, headers=headers, **access)

    async def _ask(self, params: RequestParams) -> Response:
        """The answer of one turn. The API may interrupt a long turn (`stop_reason: pause_turn`). It continues
        when it gets its own items back; the items of all parts are one answer."""
        response = await super()._ask(params)
        for _ in range(_MAX_PAUSES):
            if response.incomplete_reason != PAUSED:
                return response
            so_far = [item for item in response.output if not _is_blank(item)]
            more = await super()._ask({**params, "input": [*input_items(params), *so_far]})
            usage = add_usage(response.usage, more.usage)
            response = Response({**more.data, "output": [*so_far, *more.output], "usage": usage})
        if response.incomplete_reason == PAUSED:
            response.data["incomplete_details"] = {"reason": "max_output_tokens"}
        return response

    def _request(self, params: RequestParams) -> bytes:
        extra_body = self.settings.extra_body
        limit = extra_body.get("max_tokens", self.settings.max_tokens)
        body = messages_request(params, model=self.name, max_tokens=limit, unsigned=not self._signs)
        body = extra_body | body | self._thinking
        for key, value in json_object(params.get("metadata") or {}, "extra_body").items():
            if key == "stop":
                body["stop_sequences"] = [value] if isinstance(value, str) else value
            elif key in _ROW_FIELDS:
                body[key] = value
        if any(model in self.name for model in _NO_SAMPLING):
            fields = [field for field in ("temperature", "top_p", "top_k") if field in body]
            if fields:
                raise ModelRejected(
                    f"{self.name} takes no sampling parameters: leave out {', '.join(fields)}"
                )
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        response = messages_response(content)
        self._signs = self._signs or any("encrypted_content" in item for item in response.output)
        return response


_ROW_FIELDS: Final = frozenset(
    {"container", "context_management", "service_tier", "stop_sequences", "thinking", "top_k"}
)
"""Fields that a row's `extra_body` may set. This API refuses requests with unknown fields."""
_MAX_PAUSES: Final = 10
"""The most interruptions of one turn."""
_NO_SAMPLING: Final = ("claude-opus-4-7", "claude-opus-4-8")


def _is_blank(item: Item) -> bool:
    """Whether an item is a message without text, the form of an answer without content."""
    return item["type"] == "message" and not message_text(item).strip()


def _thinking(settings: AnthropicSettings) -> dict[str, Any]:
    budget = settings.thinking_budget_tokens
    short = None if budget is None else {"type": "enabled", "budget_tokens": budget}
    values = {
        "thinking": settings.thinking,
        "thinking_budget_tokens": short,
        "extra_body": settings.extra_body.get("thinking"),
    }
    places = [place for place, value in values.items() if value is not None]
    if len(places) > 1:
        raise UsageError(f"thinking is configured in {' and in '.join(places)}; one place is enough")
    return {"thinking": values[places[0]]} if places else {}
