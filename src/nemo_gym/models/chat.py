"""Any endpoint that speaks OpenAI Chat Completions."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nemo_gym.models.base import Model
from nemo_gym.models.remote import Access, EndpointSettings, RemoteModel
from nemo_gym.wire.chat import ReasoningMode, chat_request, chat_response
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class ChatSettings(EndpointSettings, kw_only=True, frozen=True):
    """What an endpoint of Chat Completions has beside any other."""

    uses_reasoning_parser: bool = True
    """Past reasoning goes back in its own field; else as `<think>` blocks in the text."""


class ChatModel(RemoteModel):
    """`POST {url}/chat/completions`; tool calls, reasoning and token ids are converted both ways."""

    Settings: ClassVar[type[EndpointSettings]] = ChatSettings
    reasoning: ReasoningMode = "field"
    """Where past reasoning goes back."""
    path = "/chat/completions"
    max_tokens_field: ClassVar[str] = "max_tokens"

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        settings: Any,
        **access: Unpack[Access],
    ) -> Model:
        model = cls(url, name, headers=settings.default_headers, extra_body=settings.extra_body, **access)
        model.reasoning = "field" if settings.uses_reasoning_parser else "tags"
        return model

    def _request(self, params: RequestParams) -> bytes:
        body = chat_request(
            params, model=self.name, reasoning=self.reasoning, max_tokens_field=self.max_tokens_field
        )
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        return chat_response(content)
