"""Model back end for endpoints of the OpenAI Chat Completions API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, TypeAlias, Unpack

from nemo_gym.models.remote import Access, EndpointSettings, RemoteModel
from nemo_gym.transport.refusals import is_unknown_field
from nemo_gym.wire.chat import ReasoningMode, chat_request, chat_response
from nemo_gym.wire.errors import ContextOverflow, ModelRejected
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

LimitField: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
"""The names that endpoints have for the limit of an answer."""


class ChatSettings(EndpointSettings, kw_only=True, frozen=True):
    """The additional settings of a Chat Completions endpoint."""

    uses_reasoning_parser: bool = True
    """Send past reasoning in its own field; otherwise as `<think>` blocks in the text."""
    max_tokens_field: LimitField | None = None
    """The endpoint's name for the limit of an answer. By default the usual name is tried first, and when the
    endpoint refuses it, the other one from then on."""


class ChatModel(RemoteModel):
    """`POST {url}/chat/completions`; tool calls, reasoning and token ids are converted both ways."""

    Settings: ClassVar[type[EndpointSettings]] = ChatSettings
    path = "/chat/completions"
    max_tokens_field: LimitField = "max_tokens"

    def __init__(
        self,
        url: str,
        name: str,
        settings: EndpointSettings | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **access: Unpack[Access],
    ) -> None:
        super().__init__(url, name, settings, headers=headers, **access)
        self.reasoning: ReasoningMode = "field" if self.settings.uses_reasoning_parser else "tags"
        field: LimitField | None = getattr(self.settings, "max_tokens_field", None)
        self.max_tokens_field = field or self.max_tokens_field
        self._tries_other_field = field is None

    async def _ask(self, params: RequestParams) -> Response:
        field = self.max_tokens_field
        try:
            return await super()._ask(params)
        except ContextOverflow:
            raise
        except ModelRejected as refusal:
            if (
                self._tries_other_field
                and params.get("max_output_tokens") is not None
                and is_unknown_field(refusal.http_status, refusal.body or "", field)
            ):
                return await self._ask_with(_OTHER[field], params, refusal)
            raise

    async def _ask_with(self, field: LimitField, params: RequestParams, refusal: ModelRejected) -> Response:
        """Ask again with another name of the limit, and use that name from then on when it is accepted.

        Raises:
            ModelRejected: the first refusal, when the second request is refused too.
        """
        request = self._request(params, field)
        try:
            response = await self.endpoint.post(self.path, request, self._parse, at_root=self.at_root)
        except ContextOverflow:
            raise
        except ModelRejected:
            raise refusal from None
        self.max_tokens_field = field
        return response

    def _request(self, params: RequestParams, field: LimitField | None = None) -> bytes:
        body = chat_request(
            params,
            model=self.name,
            reasoning=self.reasoning,
            max_tokens_field=field or self.max_tokens_field,
            keep_silent=False,
        )
        self._add_extras(body, params)
        return encode(body)

    def _parse(self, content: bytes) -> Response:
        return chat_response(content)


_OTHER: Final[dict[LimitField, LimitField]] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
