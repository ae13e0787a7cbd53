"""Model back end for SGLang: Chat Completions with tokens in the fields that SGLang uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nemo_gym.models.tokens import require_evidence
from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.wire.chat import chat_response
from nemo_gym.wire.response import Response


class SglangSettings(VllmSettings, kw_only=True, frozen=True):
    """The settings of vLLM that SGLang supports."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splice_sampled_ids:
            raise ValueError("splice_sampled_ids needs routes that only vLLM has")
        if self.use_completions_api:
            raise ValueError("use_completions_api needs vLLM")


class SglangModel(VllmModel):
    """`POST {url}/chat/completions` of SGLang 0.5.13 or newer; the settings are those of vLLM.

    Since 0.5.13 `return_meta_info` returns the sampled ids with their log-probabilities, and
    `return_prompt_token_ids` returns the prompt's ids; newer versions return both for `return_token_ids`. A
    request has all three, and an engine ignores those that it does not know. The engine's `/tokenize` takes
    text but no messages, so prompt ids must be in the answer. The engine tokenises past turns again, so the
    reader of the tokens must check whether a prompt begins with the tokens of the call before.
    """

    Settings = SglangSettings

    def _token_fields(self) -> Mapping[str, Any]:
        return _TOKEN_FIELDS

    async def _complete_evidence(self, request: dict[str, Any], content: bytes) -> Response:
        return require_evidence(chat_response(content, model=self.name), "SGLang returns them since 0.5.13")


_TOKEN_FIELDS: Final = {
    "logprobs": True,
    "top_logprobs": 0,
    "return_meta_info": True,
    "return_prompt_token_ids": True,
    "return_token_ids": True,
}
