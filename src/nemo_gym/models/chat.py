"""Any endpoint that speaks OpenAI Chat Completions."""

from __future__ import annotations

from typing import ClassVar

from nemo_gym.models.remote import RemoteModel
from nemo_gym.wire.chat import chat_request, chat_response
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class ChatModel(RemoteModel):
    """`POST {url}/chat/completions`; tool calls, reasoning and token ids are converted both ways."""

    path = "/chat/completions"
    max_tokens_field: ClassVar[str] = "max_tokens"

    def _request(self, params: RequestParams) -> bytes:
        body = chat_request(params, model=self.name, max_tokens_field=self.max_tokens_field)
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        return chat_response(content)
