"""Model back end for base models: builds plain text prompts for an engine's `/completions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Unpack, cast

import msgspec

from nemo_gym.models.audio import add_audio
from nemo_gym.models.chat_template import ChatTemplate
from nemo_gym.models.remote import Access
from nemo_gym.models.tokens import has_evidence, rendered_ids, require_evidence
from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.wire.chat import chat_response
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class CompletionsModel(VllmModel):
    """`POST {url}/completions` of vLLM; the settings are those of its chat route.

    Raises:
        UsageError: `render_chat_template` is set, and the tokenizer has no template.
    """

    def __init__(self, url: str, name: str, settings: VllmSettings, **access: Unpack[Access]) -> None:
        super().__init__(url, name, settings, **access)
        self._template = ChatTemplate(settings.tokenizer or name) if settings.render_chat_template else None

    async def _ask(self, params: RequestParams) -> Response:
        request = self._chat_request(params)
        await add_audio(request["messages"], params.get("metadata") or {}, self.settings.audio_root)
        body = {key: value for key, value in request.items() if key not in _OF_CHAT}
        body |= {"prompt": self._prompt(request), "add_special_tokens": self._template is None}
        response, content = await self.endpoint.post("/completions", encode(body), self._read)
        if not self.settings.return_token_id_information or has_evidence(response):
            return response
        prompt = await rendered_ids(self.endpoint, body)
        response = chat_response(_as_chat(content), model=self.name, prompt_token_ids=prompt)
        return require_evidence(response, "it ignores `logprobs` with `return_tokens_as_token_ids`")

    def _read(self, content: bytes) -> tuple[Response, bytes]:
        return chat_response(_as_chat(content), model=self.name), content

    def _token_fields(self) -> Mapping[str, Any]:
        return {**super()._token_fields(), "logprobs": 1}

    def _prompt(self, request: Mapping[str, Any]) -> str:
        messages = [_plain(message) for message in cast("list[dict[str, Any]]", request["messages"])]
        if self._template is not None:
            return self._template.render(
                messages, request.get("tools"), request.get("chat_template_kwargs") or {}
            )
        if request.get("tools"):
            raise ModelRejected("tools: a raw prompt has no place for them; set render_chat_template")
        if [message["role"] for message in messages] not in (["user"], ["system", "user"]):
            raise ModelRejected(
                "input: a raw prompt is one user message, after at most one system message; "
                "set render_chat_template for conversations"
            )
        return "\n\n".join(message["content"] for message in messages)


_OF_CHAT: Final = frozenset(
    {
        "messages", "tools", "tool_choice", "parallel_tool_calls", "chat_template_kwargs", "top_logprobs",
        "reasoning_effort", "verbosity",
    }
)  # fmt: skip
"""Fields that `/completions` does not have."""


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message with its content as text.

    Raises:
        ModelRejected: a part of it is not text.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return {**message, "content": content or ""}
    parts = cast("list[dict[str, Any]]", content)
    for part in parts:
        if part["type"] != "text":
            raise ModelRejected(f"{part['type']}: with use_completions_api a prompt is text alone")
    return {**message, "content": "".join(part["text"] for part in parts)}


class _Logprobs(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float] = []


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    routed_experts: Any = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    id: str = ""
    model: str | None = None
    created: float | None = None
    usage: Any = None


_decoder: Final = msgspec.json.Decoder(_Completion)


def _as_chat(content: bytes) -> dict[str, Any]:
    """Convert a completion to a ChatCompletion.

    Raises:
        ValueError: it is not a completion.
    """
    try:
        completion = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a completion: {error}") from None
    fields = msgspec.structs.asdict(completion)
    return {
        **fields,
        "id": completion.id.removeprefix("cmpl-"),
        "choices": [_chat_choice(one) for one in completion.choices],
    }


def _chat_choice(choice: _Choice) -> dict[str, Any]:
    fields = msgspec.structs.asdict(choice)
    message = {"role": "assistant", "content": fields.pop("text")}
    logprobs = choice.logprobs
    pairs = zip(logprobs.tokens, logprobs.token_logprobs, strict=False) if logprobs else ()
    content = [{"token": token, "logprob": log_prob} for token, log_prob in pairs]
    return {**fields, "message": message, "logprobs": {"content": content} if content else None}
