"""Model back end for endpoints of the OpenAI Chat Completions API."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, TypeAlias, Unpack

from nemo_gym.models.base import Model
from nemo_gym.models.remote import Access, EndpointSettings, RemoteModel
from nemo_gym.wire.chat import ReasoningMode, chat_request, chat_response
from nemo_gym.wire.errors import ContextOverflow, ModelRejected
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

LimitField: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
"""What endpoints call the limit of an answer."""


class ChatSettings(EndpointSettings, kw_only=True, frozen=True):
    """The additional settings of a Chat Completions endpoint."""

    uses_reasoning_parser: bool = True
    """Past reasoning goes back in its own field; else as `<think>` blocks in the text."""
    max_tokens_field: LimitField | None = None
    """What the endpoint calls the limit of an answer. Unless it is set, the usual name is tried first, and
    the other one from then on when the endpoint refuses it."""


class ChatModel(RemoteModel):
    """`POST {url}/chat/completions`; tool calls, reasoning and token ids are converted both ways."""

    Settings: ClassVar[type[EndpointSettings]] = ChatSettings
    reasoning: ReasoningMode = "field"
    """Where past reasoning goes back."""
    path = "/chat/completions"
    max_tokens_field: LimitField = "max_tokens"
    learns_field = True
    """Whether a refusal of `max_tokens_field` is answered with the other name."""

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        settings: Any,
        **access: Unpack[Access],
    ) -> Model:
        model = cls(url, name, headers=settings.default_headers, extra_body=settings.extra_body, **access)
        model.follow(settings)
        return model

    def follow(self, settings: Any) -> None:
        """Apply the settings for the form of requests."""
        self.reasoning = "field" if settings.uses_reasoning_parser else "tags"
        field: LimitField | None = getattr(settings, "max_tokens_field", None)
        if field is not None:
            self.max_tokens_field, self.learns_field = field, False

    async def _ask(self, params: RequestParams) -> Response:
        field = self.max_tokens_field
        try:
            return await super()._ask(params)
        except ContextOverflow:
            raise
        except ModelRejected as refusal:
            from nemo_gym.transport.refusals import is_unknown_field

            body = refusal.body or ""
            unknown = self.learns_field and is_unknown_field(refusal.http_status, body, field)
            if not unknown or params.get("max_output_tokens") is None:
                raise
            return await self._ask_with(_OTHER[field], params, refusal)

    async def _ask_with(self, field: LimitField, params: RequestParams, refusal: ModelRejected) -> Response:
        """The answer to the same request under another name of the limit, which is kept if that helps.

        Raises:
            ModelRejected: it is refused as well; the first refusal says more about the request.
        """
        request = self._request(params, field)
        try:
            response = await self.endpoint.post(self.path + self._query, request, self._parse)
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
