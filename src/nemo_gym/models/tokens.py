"""Token evidence that has to be complete: a call without it is a failed call.

Most of it is in the answer (`wire.chat_tokens`). Here is what an engine has to be asked for, and the prompt's
ids of an engine that returns only the sampled ones.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

import msgspec

from nemo_gym.transport.http import Endpoint
from nemo_gym.wire.chat_tokens import MAX_LOG_PROB, TokenId
from nemo_gym.wire.errors import ModelError, ModelRejected
from nemo_gym.wire.items import TOKEN_FIELDS
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response


def has_evidence(response: Response) -> bool:
    """Whether the last item of a model call carries its tokens; an answer has at least one token."""
    output = cast("list[dict[str, Any]]", response.output)
    if not output or not all(name in output[-1] for name in TOKEN_FIELDS):
        return False
    says_nothing = len(output) == 1 and not (response.output_text or response.function_calls)
    return says_nothing or bool(output[-1]["generation_token_ids"])


def require_evidence(response: Response, hint: str) -> Response:
    """`response` itself when its last item carries the call's tokens.

    Args:
        hint: what the engine needs so that it returns them.

    Raises:
        ModelError: it doesn't.
    """
    if has_evidence(response):
        return response
    raise ModelError(f"the answer of {response.model or 'the model'} has no token ids: {hint}")


def check_evidence(response: Response) -> None:
    """Make sure that the tokens in an answer that came with them can be a trainer's evidence.

    Raises:
        ValueError: an id is negative, a log-probability is above 0 or infinite, or their numbers differ.
    """
    for place, item in enumerate(cast("list[dict[str, Any]]", response.output)):
        if item.get(TOKEN_FIELDS[0]) is not None:
            try:
                tokens = msgspec.convert(item, _Evidence)
            except msgspec.ValidationError as error:
                raise ValueError(f"output[{place}]: {error}") from None
            ids, log_probs = len(tokens.generation_token_ids), len(tokens.generation_log_probs)
            if ids != log_probs:
                raise ValueError(
                    f"output[{place}]: {ids} generated token ids but {log_probs} log-probabilities"
                )


def require_one_choice(request: Mapping[str, Any]) -> None:
    """Make sure that a request asks for one answer, so that its tokens belong to one item.

    Raises:
        ModelRejected: it asks for several.
    """
    if request.get("n", 1) != 1:
        raise ModelRejected(f"n: {request['n']} answers can't carry the token ids of one; ask several times")


async def tokenized_prompt(endpoint: Endpoint, request: Mapping[str, Any]) -> list[int]:
    """The prompt's ids of a chat request, from the `/tokenize` route beside the endpoint's `/v1`.

    The ids of the last assistant message that carries its own are named as `required_prefix_token_ids`: an
    engine that puts sampled ids in place of re-tokenised text does the same here.

    Raises:
        ModelError: the route failed.
    """
    prefix = sampled_so_far(request["messages"])
    return await rendered_ids(
        endpoint, {**request, "required_prefix_token_ids": prefix[1]} if prefix else request
    )


async def rendered_ids(endpoint: Endpoint, request: Mapping[str, Any]) -> list[int]:
    """The token ids of a chat request by the engine's template, or of a prompt by its tokenizer.

    Raises:
        ModelError: the route failed.
    """
    body = {name: request[name] for name in _TOKENIZE_FIELDS if name in request}
    return await endpoint.post("/tokenize", encode(body), _tokens_of, at_root=True)


def sampled_so_far(messages: list[dict[str, Any]]) -> tuple[int, list[int]] | None:
    """The place of the last assistant message that carries its tokens, and what the engine had seen and
    sampled by then."""
    for place, message in reversed(list(enumerate(messages))):
        if message.get("generation_token_ids") is not None:
            return place, [*message["prompt_token_ids"], *message["generation_token_ids"]]
    return None


def continues(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the prompt of the item `after` starts with all that the item `before` saw and sampled; only
    then can a trainer put the two calls into one sequence."""
    sequence = cast("list[int]", [*before["prompt_token_ids"], *before["generation_token_ids"]])
    return after["prompt_token_ids"][: len(sequence)] == sequence


_TOKENIZE_FIELDS: Final = (
    "model", "messages", "tools", "chat_template_kwargs", "mm_processor_kwargs", "add_generation_prompt",
    "required_prefix_token_ids", "prompt", "add_special_tokens",
)  # fmt: skip


class _Evidence(msgspec.Struct):
    prompt_token_ids: list[TokenId]
    generation_token_ids: list[TokenId]
    generation_log_probs: list[Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=MAX_LOG_PROB)]]


class _Tokenized(msgspec.Struct):
    tokens: list[TokenId]


_decoder = msgspec.json.Decoder(_Tokenized)


def _tokens_of(content: bytes) -> list[int]:
    try:
        return _decoder.decode(content).tokens
    except msgspec.DecodeError as error:
        raise ValueError(f"not an answer of /tokenize: {error}") from None
