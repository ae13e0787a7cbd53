"""The tokens of model calls on the items of a trajectory, and the check that a trainer can use them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec

from nemo_gym.wire.chat_tokens import MAX_LOG_PROB
from nemo_gym.wire.items import TOKEN_FIELDS
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.model_call import without_tokens
from nemo_gym.wire.token_packing import ADDED


class TokenFault(ValueError):
    """The token fields of an item are not what a policy can have sampled."""


_Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one model call, as its item carries them."""

    prompt_token_ids: list[_Id] | None = None
    added_prompt_token_ids: list[_Id] | None = None
    """In a packed row what the prompt adds to the tokens before it, in place of `prompt_token_ids`."""
    generation_token_ids: list[_Id]
    generation_log_probs: list[float]
    weight_version: _Id | list[_Id] | None = None
    """The policy version of all sampled tokens, or of each of them."""
    loss_mask: list[Annotated[int, msgspec.Meta(ge=0, le=1)]] | None = None
    """For each sampled token 1 if it is trained on; None is all of them."""


def read_span(item: Mapping[str, Any]) -> Span | None:
    """The token fields of an item; None when it has none.

    Raises:
        TokenFault: a field is missing or has another type, an id is negative, a log-probability is above 0
            or not a number, or the lengths differ.
    """
    if all(item.get(name) is None for name in TOKEN_FIELDS):
        return None
    try:
        span = msgspec.convert(item, Span)
    except msgspec.ValidationError as error:
        raise TokenFault(str(error)) from None
    if (span.prompt_token_ids is None) == (span.added_prompt_token_ids is None):
        raise TokenFault(f"sampled tokens need one of {TOKEN_FIELDS[0]} and {ADDED}")
    count = len(span.generation_token_ids)
    for name in ("generation_log_probs", "loss_mask", "weight_version"):
        values = getattr(span, name)
        if isinstance(values, list) and len(cast("list[Any]", values)) != count:
            raise TokenFault(f"{count} sampled tokens, but {len(cast('list[Any]', values))} of {name}")
    log_probs = span.generation_log_probs
    if not math.isfinite(sum(log_probs)) or max(log_probs, default=0.0) > MAX_LOG_PROB:
        raise TokenFault("a log-probability is above 0 or not a finite number")
    return span


class TokenProblem(msgspec.Struct, frozen=True):
    """Why a trainer must not learn from a trajectory."""

    reason: Literal["no_tokens", "tokens_not_contiguous", "bad_tokens"]
    """
    no_tokens: no model call has tokens, or one has none and others have.
    tokens_not_contiguous: a prompt does not begin with the tokens before it.
    bad_tokens: token fields that no policy can have sampled, or on an item that no policy sampled.
    """
    detail: str
    """The place of the problem and what is wrong there."""


def usable_tokens(output: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], TokenProblem | None]:
    """A trajectory with only those tokens that continue each other, and its first problem.

    A trainer that reads the returned items finds one sequence of tokens, whatever the problem is.

    Args:
        output: the items of a response, each prompt in full.
    """
    items: list[Mapping[str, Any]] = []
    seen: list[int] = []
    problem: TokenProblem | None = None
    for place, item in enumerate(output):
        try:
            seen = _continued(seen, item)
        except _Unusable as error:
            problem = problem or TokenProblem(error.reason, f"output[{place}]: {error}")
            item = without_tokens(dict(item))
        items.append(item)
    if problem is None and (place := _call_without_tokens(output)) is not None:
        others = ", but others have" if seen else ""
        problem = TokenProblem("no_tokens", f"output[{place}]: this model call has no tokens{others}")
    if problem is None and not seen:
        problem = TokenProblem("no_tokens", "output: there is no model call")
    return items, problem


class _Unusable(Exception):
    def __init__(self, reason: Literal["tokens_not_contiguous", "bad_tokens"], message: str) -> None:
        super().__init__(message)
        self.reason: Literal["tokens_not_contiguous", "bad_tokens"] = reason


def _continued(seen: list[int], item: Mapping[str, Any]) -> list[int]:
    """The tokens up to the last one of an item; `seen` itself where the item has none."""
    try:
        span = read_span(item)
    except TokenFault as error:
        raise _Unusable("bad_tokens", str(error)) from None
    if span is None:
        return seen
    prompt, sampled = span.prompt_token_ids, span.generation_token_ids
    if not sampled and not _has_content(item):
        return seen
    if is_input(item):
        raise _Unusable("bad_tokens", "no policy sampled this item, but it has tokens")
    if not prompt or not sampled:
        raise _Unusable("bad_tokens", f"{TOKEN_FIELDS[1] if prompt else TOKEN_FIELDS[0]} is empty")
    if prompt[: len(seen)] != seen:
        raise _Unusable("tokens_not_contiguous", _difference(seen, prompt))
    experts, count = item.get("routed_experts"), len(prompt) + len(sampled)
    if isinstance(experts, list) and len(cast("list[Any]", experts)) < count:
        of = len(cast("list[Any]", experts))
        raise _Unusable("bad_tokens", f"routed_experts are those of {of} tokens, expected {count}")
    return prompt + sampled


def _difference(seen: list[int], prompt: list[int]) -> str:
    pairs = enumerate(zip(seen, prompt, strict=False))
    first = next((at for at, (before, now) in pairs if before != now), None)
    fault = f"has only {len(prompt)} tokens" if first is None else f"differs from token {first} on"
    return f"the prompt must begin with the {len(seen)} tokens before it, but {fault}"


def _call_without_tokens(output: Sequence[Mapping[str, Any]]) -> int | None:
    """The first item of the first model call without tokens. Items between two inputs count as one call."""
    start: int | None = None
    has_tokens = False
    for place, item in enumerate(output):
        if is_input(item):
            if start is not None and not has_tokens:
                return start
            start, has_tokens = None, False
        elif _has_content(item):
            start = place if start is None else start
            has_tokens = has_tokens or bool(item.get(TOKEN_FIELDS[1]))
    return start if start is not None and not has_tokens else None


def is_input(item: Mapping[str, Any]) -> bool:
    """Whether the model got the item, instead of sampling it."""
    kind = _kind(item)
    return kind.endswith("_output") or (kind == "message" and item.get("role") != "assistant")


def _has_content(item: Mapping[str, Any]) -> bool:
    """False for an empty message, which stands for an answer that the context window had no room for."""
    if _kind(item) != "message":
        return True
    content = item.get("content")
    if isinstance(content, list):
        parts = objects_of(cast("list[Any]", content))
        return any(part.get("text", True) for part in parts)
    return bool(content)


def _kind(item: Mapping[str, Any]) -> str:
    return str(item.get("type") or "message")
