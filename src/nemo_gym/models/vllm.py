"""A policy served by vLLM: Chat Completions with its extensions, and the tokens of every call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from nemo_gym.models.audio import add_audio
from nemo_gym.models.remote import EndpointModel, json_object
from nemo_gym.models.splice import Splicer
from nemo_gym.models.tokens import has_evidence, require_evidence, require_one_choice, tokenized_prompt
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.chat import chat_request, chat_response
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response


class VllmSettings(msgspec.Struct, kw_only=True, frozen=True):
    """The settings of the original's `vllm_model` (CONTRACT 7.1), all with a default."""

    return_token_id_information: bool = False
    """Put the ids and log-probabilities of every call on its last item; a call without them fails."""
    request_prompt_and_generation_token_ids: bool = False
    """Ask for `return_token_ids` too (vLLM 0.10.2 and newer): no second request to `/tokenize`."""
    splice_sampled_ids: bool = False
    """Make every prompt begin with the ids of the past turns as they were sampled, by an unchanged vLLM that
    was started with `--enable-scale-out`."""
    uses_reasoning_parser: bool = True
    """Past reasoning goes back in its own field; without a parser as `<think>` blocks in the text."""
    uses_interleaved_reasoning: bool = True
    """Past reasoning goes back at all, where there is a parser."""
    preserve_reasoning_in_assistant_content: bool = False
    """Past reasoning goes back in the text, parser or not."""
    replace_developer_role_with_system: bool = False
    sequential_reasoning_allowed: bool = True
    """False ends a rollout whose last answer was reasoning alone, instead of asking for more of it."""
    is_responses_native: bool = False
    """Ask the engine's own `/responses`, which returns no tokens."""
    chat_template_kwargs: dict[str, Any] = {}
    extra_body: dict[str, Any] = {}
    sampling_overrides: dict[str, Any] = {}
    """Request fields that win over whatever a row says."""
    default_headers: dict[str, str] = {}
    audio_root: str = ""
    """Folder that `metadata.audio_path` is looked for in; rows may name no file outside of it."""


class VllmModel(EndpointModel):
    """`POST {url}/chat/completions` of vLLM, or of any server with the same extensions."""

    def __init__(
        self,
        url: str,
        name: str,
        settings: VllmSettings | None = None,
        *,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.settings = settings or VllmSettings()
        headers = self.settings.default_headers
        super().__init__(url, name, api_key=api_key, timeouts=timeouts, retry=retry, headers=headers)
        self._splicer = Splicer(self.endpoint)

    async def _ask(self, params: RequestParams) -> Response:
        settings = self.settings
        last = input_items(params)[-1:]
        if last and last[0]["type"] == "reasoning" and not settings.sequential_reasoning_allowed:
            return Response.of([], model=self.name, incomplete="content_filter")
        request = self._chat_request(params)
        await add_audio(request["messages"], params.get("metadata") or {}, settings.audio_root)
        if settings.splice_sampled_ids and settings.return_token_id_information:
            completion = await self._splicer.completion(request)
            if completion is not None:
                return chat_response(completion, model=self.name)
        response, content = await self.endpoint.post("/chat/completions", encode(request), self._read)
        if settings.return_token_id_information and not has_evidence(response):
            return await self._complete_evidence(request, content)
        return response

    def _read(self, content: bytes) -> tuple[Response, bytes]:
        return chat_response(content, model=self.name), content

    def _chat_request(self, params: RequestParams) -> dict[str, Any]:
        settings = self.settings
        in_field = settings.uses_reasoning_parser and not settings.preserve_reasoning_in_assistant_content
        request = chat_request(
            params,
            model=self.name,
            reasoning="field" if in_field else "tags",
            replay_tokens=settings.return_token_id_information,
        )
        for message in cast("list[dict[str, Any]]", request["messages"]):
            self._adapt(message)
        metadata = params.get("metadata") or {}
        extra = {**settings.extra_body, **json_object(metadata, "extra_body")}
        inner = extra.pop("chat_template_kwargs", {})
        if not isinstance(inner, dict):
            raise ModelRejected("extra_body.chat_template_kwargs must be a JSON object")
        template = {
            **settings.chat_template_kwargs,
            **json_object(metadata, "chat_template_kwargs"),
            **cast("dict[str, Any]", inner),
        }
        if template:
            request["chat_template_kwargs"] = template
        request |= {**extra, **settings.sampling_overrides}
        if settings.return_token_id_information:
            require_one_choice(request)
            request |= self._token_fields()
        return request

    def _adapt(self, message: dict[str, Any]) -> None:
        """A message in the form that this engine reads."""
        if message["role"] == "developer" and self.settings.replace_developer_role_with_system:
            message["role"] = "system"
        thought = message.pop("reasoning_content", None)
        if thought is not None and self.settings.uses_interleaved_reasoning:
            # vLLM 0.16 renamed the field; older ones, and other engines, read the old name.
            message["reasoning_content"] = message["reasoning"] = thought

    def _token_fields(self) -> Mapping[str, Any]:
        """Request fields that make the engine return its tokens."""
        return _WITH_PROMPT if self.settings.request_prompt_and_generation_token_ids else _SAMPLED_ONLY

    async def _complete_evidence(self, request: dict[str, Any], content: bytes) -> Response:
        prompt = await tokenized_prompt(self.endpoint, request)
        response = chat_response(content, model=self.name, prompt_token_ids=prompt)
        return require_evidence(response, "it ignores `logprobs` with `return_tokens_as_token_ids`")


_SAMPLED_ONLY: Final = {"logprobs": True, "top_logprobs": 0, "return_tokens_as_token_ids": True}
_WITH_PROMPT: Final = {**_SAMPLED_ONLY, "return_token_ids": True}
