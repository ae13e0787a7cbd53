"""Checks that a call's token evidence is complete, because a call without it has failed.

Most of the evidence is in the answer (`wire.chat_tokens`). Some engines return only the sampled ids; for
those the ids of the prompt are requested here.
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
    """Whether the last item of a model call carries the call's tokens. An answer has at least one token."""
    output = cast("list[dict[str, Any]]", response.output)
    if not output or not all(name in output[-1] for name in TOKEN_FIELDS):
        return False
    is_blank = len(output) == 1 and not (response.output_text or response.function_calls)
    return is_blank or bool(output[-1]["generation_token_ids"])


def require_evidence(response: Response, hint: str) -> Response:
    """The same response, when its last item carries the call's tokens.

    Args:
        hint: what the engine needs in order to return the tokens.

    Raises:
        ModelError: the last item does not carry them.
    """
    if has_evidence(response):
        return response
    raise ModelError(f"the answer of {response.model or 'the model'} has no token ids: {hint}")


def check_evidence(response: Response) -> None:
    """Check that a trainer can use the tokens of an answer, if the answer has any.

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
    """Check that a request asks for only one answer, so that the tokens belong to one item.

    Raises:
        ModelRejected: it asks for several answers.
    """
    if request.get("n", 1) != 1:
        raise ModelRejected(f"n: {request['n']} answers can't carry the token ids of one; ask several times")


async def tokenized_prompt(endpoint: Endpoint, request: Mapping[str, Any]) -> list[int]:
    """The ids of a chat request's prompt, from the `/tokenize` route beside the endpoint's `/v1`.

    The ids up to the last assistant message that carries its own ids are sent as
    `required_prefix_token_ids`. An engine that uses sampled ids instead of tokenising again then uses them
    here too.

    Raises:
        ModelError: the route failed.
    """
    prefix = sampled_so_far(request["messages"])
    return await rendered_ids(
        endpoint, {**request, "required_prefix_token_ids": prefix[1]} if prefix else request
    )


async def rendered_ids(endpoint: Endpoint, request: Mapping[str, Any]) -> list[int]:
    """The token ids of a chat request (with the engine's template) or of a prompt.

    Raises:
        ModelError: the route failed.
    """
    body = {name: request[name] for name in _TOKENIZE_FIELDS if name in request}
    return await endpoint.post("/tokenize", encode(body), _tokens_of, at_root=True)


def sampled_so_far(messages: list[dict[str, Any]]) -> tuple[int, list[int]] | None:
    """The index of the last assistant message that carries its tokens, and all token ids up to its end."""
    for place, message in reversed(list(enumerate(messages))):
        if message.get("generation_token_ids") is not None:
            return place, [*message["prompt_token_ids"], *message["generation_token_ids"]]
    return None


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
