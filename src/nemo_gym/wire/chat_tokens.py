"""Reads token ids and log-probabilities from a ChatCompletion, and checks that its sources agree.

| What | Where |
|---|---|
| everything | the message's own three fields |
| prompt ids | `prompt_token_ids` of the message, the choice or the completion, or a separate request |
| sampled ids | the choice's `token_ids` (vLLM) or `response_token_ids` (SGLang), `token_id:<n>` in place of |
| | the log-probabilities' tokens, or SGLang's `meta_info.output_token_logprobs` |
| log-probabilities | `logprobs.content`, or SGLang's `meta_info.output_token_logprobs` |
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, cast

import msgspec

from nemo_gym.wire.items import TOKEN_FIELDS

TokenId = Annotated[int, msgspec.Meta(ge=0)]
"""An entry of a vocabulary."""


class TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class Logprob(TopLogprob):
    top_logprobs: list[TopLogprob] | None = None


class Logprobs(msgspec.Struct):
    content: list[Logprob] | None = None

    @property
    def name_ids(self) -> bool:
        """Whether the tokens are `token_id:<n>` instead of text."""
        return bool(self.content) and self.content[0].token.startswith(_TOKEN_ID)


class TokenMessage(msgspec.Struct, kw_only=True):
    """The token fields of a chat message."""

    prompt_token_ids: list[TokenId] | None = None
    generation_token_ids: list[TokenId] | None = None
    generation_log_probs: list[float] | None = None
    routed_experts: Any = None


class TokenChoice(msgspec.Struct, kw_only=True):
    """The token fields of a choice."""

    logprobs: Logprobs | None = None
    token_ids: list[TokenId] | None = None
    response_token_ids: list[TokenId] | None = None
    prompt_token_ids: list[TokenId] | None = None
    meta_info: Any = None
    routed_experts: Any = None


def token_evidence(
    message: TokenMessage, choice: TokenChoice, *prompts: list[int] | None
) -> dict[str, Any] | None:
    """The training fields of one model call; None when one of them is missing.

    Args:
        prompts: ids of the prompt from other places.

    Raises:
        ValueError: two sources contradict each other, the message has only some of its three fields, or there
            is a negative id or a log-probability that is above 0 or no finite number.
    """
    sampled = (message.generation_token_ids, message.generation_log_probs, choice.token_ids)
    if sampled == _NONE and (choice.response_token_ids, choice.logprobs, choice.meta_info) == _NONE:
        return None
    fields = [message.generation_token_ids, message.generation_log_probs]
    if any(part is not None for part in fields) and None in (*fields, message.prompt_token_ids):
        missing = [name for name in TOKEN_FIELDS if getattr(message, name) is None]
        raise ValueError(f"choices[0].message: token ids without {', '.join(missing)}")
    prompt = _common("prompt", message.prompt_token_ids, choice.prompt_token_ids, *prompts)
    pairs = _meta_pairs(choice.meta_info)
    ids = _common(
        "sampled",
        message.generation_token_ids,
        choice.token_ids,
        choice.response_token_ids,
        _named_ids(choice.logprobs),
        None if pairs is None else [token for _, token, _ in pairs],
    )
    log_probs = message.generation_log_probs
    if log_probs is None and pairs is not None:
        log_probs = [log_prob for log_prob, _, _ in pairs]
    if log_probs is None and choice.logprobs is not None and choice.logprobs.content is not None:
        log_probs = [entry.logprob for entry in choice.logprobs.content]
    if prompt is None or ids is None or log_probs is None:
        return None
    if len(ids) != len(log_probs):
        raise ValueError(f"choices[0]: {len(ids)} generated token ids but {len(log_probs)} log-probabilities")
    if max(log_probs, default=0.0) > MAX_LOG_PROB:
        raise ValueError(f"choices[0]: a log-probability of {max(log_probs):g}: none can be above 0")
    if not math.isfinite(sum(log_probs)):
        raise ValueError("choices[0]: a log-probability is not a finite number")
    evidence: dict[str, Any] = dict(zip(TOKEN_FIELDS, (prompt, ids, log_probs), strict=True))
    experts = message.routed_experts if message.routed_experts is not None else choice.routed_experts
    if experts is not None:
        evidence["routed_experts"] = experts
    return evidence


MAX_LOG_PROB: Final = 1e-6
"""The largest log-probability: 32-bit arithmetic may round one of 0 up."""
_NONE: Final = (None, None, None)
_TOKEN_ID: Final = "token_id:"


def _common(what: str, *sources: list[int] | None) -> list[int] | None:
    present = [ids for ids in sources if ids is not None]
    for other in present[1:]:
        if other != present[0]:
            raise ValueError(f"choices[0]: two sources of the {what} token ids name different tokens")
    return present[0] if present else None


def _named_ids(logprobs: Logprobs | None) -> list[int] | None:
    if logprobs is None or not logprobs.name_ids:
        return None
    names = [entry.token.removeprefix(_TOKEN_ID) for entry in logprobs.content or ()]
    if not all(name.isdecimal() and len(name) < 16 for name in names):
        raise ValueError("choices[0].logprobs: a token is not `token_id:` and a number")
    return [int(name) for name in names]


def _meta_pairs(meta: Any) -> list[tuple[float, int, Any]] | None:
    """(log-probability, id, text) of every sampled token."""
    if not isinstance(meta, dict):
        return None
    pairs = cast("dict[str, Any]", meta).get("output_token_logprobs")
    try:
        return None if pairs is None else msgspec.convert(pairs, list[tuple[float, TokenId, Any]])
    except msgspec.ValidationError as error:
        raise ValueError(f"choices[0].meta_info.output_token_logprobs: {error}") from None
