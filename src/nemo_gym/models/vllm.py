"""Model back end for vLLM: Chat Completions with vLLM's extensions and the tokens of every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Unpack, cast

from nemo_gym.models.audio import add_audio
from nemo_gym.models.base import Model
from nemo_gym.models.remote import Access, EndpointModel, EndpointSettings, json_object
from nemo_gym.models.responses import ResponsesModel, ResponsesSettings
from nemo_gym.models.tokens import has_evidence, require_evidence, require_one_choice, tokenized_prompt
from nemo_gym.models.type_table import load
from nemo_gym.models.vllm_token_routes import Splicer
from nemo_gym.wire.chat import chat_request, chat_response
from nemo_gym.wire.errors import ModelDenied, ModelError, ModelRejected
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response


class VllmSettings(EndpointSettings, kw_only=True, frozen=True):
    """The settings of the original's `vllm_model`, all with a default."""

    return_token_id_information: bool = False
    """Put the token ids and log-probabilities of every call on its last item; a call without them fails."""
    request_prompt_and_generation_token_ids: bool = False
    """Send `return_token_ids` too (vLLM 0.10.2 and newer). It saves the second request to `/tokenize`."""
    splice_sampled_ids: bool = False
    """Begin every prompt with the sampled token ids of the past turns. The engine must be started with
    `--enable-scale-out`."""
    uses_reasoning_parser: bool = True
    """Send past reasoning in its own field; without a parser it is sent as `<think>` blocks in the text."""
    uses_interleaved_reasoning: bool = True
    """Whether past reasoning is sent at all, where there is a parser."""
    preserve_reasoning_in_assistant_content: bool = False
    """Send past reasoning in the text, even where there is a parser."""
    replace_developer_role_with_system: bool = False
    sequential_reasoning_allowed: bool = True
    """False ends a rollout whose last answer has only reasoning, instead of asking for more reasoning."""
    is_responses_native: bool = False
    """Use the engine's own `/responses`, which returns no tokens."""
    chat_template_kwargs: dict[str, Any] = {}
    sampling_overrides: dict[str, Any] = {}
    """Request fields that replace those of the row."""
    audio_root: str = ""
    """The folder of the files that `metadata.audio_path` names; rows may name no file outside of it."""
    use_completions_api: bool = False
    """Use `/completions`, for base models. The prompt is built here, and tool calls in the text stay text."""
    render_chat_template: bool = False
    """Build that prompt with the chat template of `tokenizer`; otherwise it is the text of one user
    message."""
    tokenizer: str = ""
    """A folder with `tokenizer_config.json`, or a model in the local Hugging Face cache; by default the
    model's own name."""

    def __post_init__(self) -> None:
        if self.splice_sampled_ids and not self.return_token_id_information:
            raise ValueError("splice_sampled_ids needs return_token_id_information")
        if self.render_chat_template and not self.use_completions_api:
            raise ValueError("render_chat_template needs use_completions_api")
        if self.splice_sampled_ids and self.use_completions_api:
            raise ValueError("splice_sampled_ids goes with the chat route, not with use_completions_api")
        if self.is_responses_native and (names := [name for name in _NOT_NATIVE if getattr(self, name)]):
            raise ValueError(f"with is_responses_native, {', '.join(names)} can't be honoured")


class VllmModel(EndpointModel):
    """`POST {url}/chat/completions` of vLLM, or of any server with the same extensions."""

    Settings: ClassVar[type[EndpointSettings]] = VllmSettings
    settings: VllmSettings

    def __init__(
        self, url: str, name: str, settings: VllmSettings | None = None, **access: Unpack[Access]
    ) -> None:
        super().__init__(url, name, settings, **access)
        self._splicer = Splicer(self.endpoint)

    @classmethod
    def open(cls, url: str, name: str, settings: VllmSettings, **access: Unpack[Access]) -> Model:
        if settings.is_responses_native:
            extra_body = settings.extra_body
            if settings.chat_template_kwargs:
                extra_body = {"chat_template_kwargs": settings.chat_template_kwargs, **extra_body}
            native = ResponsesSettings(default_headers=settings.default_headers, extra_body=extra_body)
            return ResponsesModel(url, name, native, **access)
        kind: Callable[..., Model] = load(_COMPLETIONS) if settings.use_completions_api else cls
        return kind(url, name, settings, **access)

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
        extra = json_object(metadata, "extra_body")
        inner = {**settings.extra_body, **extra}.get("chat_template_kwargs", {})
        if not isinstance(inner, dict):
            raise ModelRejected("extra_body.chat_template_kwargs must be a JSON object")
        template = {
            **settings.chat_template_kwargs,
            **json_object(metadata, "chat_template_kwargs"),
            **cast("dict[str, Any]", inner),
        }
        request = {**settings.extra_body, **request, **extra}
        if template:
            request["chat_template_kwargs"] = template
        request |= settings.sampling_overrides
        if settings.return_token_id_information:
            require_one_choice(request)
            request |= self._token_fields()
        return request

    def _adapt(self, message: dict[str, Any]) -> None:
        """Change a message to the form that this engine reads."""
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
        try:
            prompt = await tokenized_prompt(self.endpoint, request)
        except ModelDenied as error:
            if error.http_status != _NOT_FOUND:
                raise
            message = f"the answer of {self.name} has no token ids, and there is no /tokenize: {error}"
            raise ModelError(message, http_status=error.http_status, body=error.body) from None
        response = chat_response(content, model=self.name, prompt_token_ids=prompt)
        return require_evidence(response, "it ignores `logprobs` with `return_tokens_as_token_ids`")


_NOT_FOUND: Final = 404
_COMPLETIONS: Final = "completions:CompletionsModel"
_NOT_NATIVE: Final = (
    "return_token_id_information", "request_prompt_and_generation_token_ids", "splice_sampled_ids",
    "use_completions_api", "sampling_overrides", "audio_root",
)  # fmt: skip
"""Settings that vLLM's own `/responses` does not support."""
_SAMPLED_ONLY: Final = {"logprobs": True, "top_logprobs": 0, "return_tokens_as_token_ids": True}
_WITH_PROMPT: Final = {**_SAMPLED_ONLY, "return_token_ids": True}
