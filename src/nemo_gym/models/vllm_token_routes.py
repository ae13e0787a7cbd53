"""Prompts that hold the sampled token ids of past turns, through the token routes of vLLM.

vLLM's chat route tokenises past turns again. Its token routes (`vllm serve --enable-scale-out`, as in 0.32)
take the prompt as ids. So the prompt is put together here: first the ids of the last call's prompt and
answer, then the ids of the text that the chat template adds after that answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any, cast

import msgspec

from nemo_gym.models.tokens import rendered_ids, sampled_so_far
from nemo_gym.transport.http import Endpoint
from nemo_gym.wire.items import TOKEN_FIELDS
from nemo_gym.wire.jsonl import encode


class Splicer:
    """Asks one engine for completions of prompts that hold the sampled ids of past turns."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._turn_end: list[int] | None = None

    async def completion(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The ChatCompletion of a request, with the call's tokens on the message.

        None when no past turn carries its ids, or when the template changes the text of past turns in a
        longer conversation.

        Raises:
            ModelError: a route failed, or the engine was started without it.
        """
        messages: list[dict[str, Any]] = request["messages"]
        match = sampled_so_far(messages)
        if match is None:
            return None
        place, prefix = match
        plain = {**request, "messages": [_without_tokens(message) for message in messages]}
        rendering = await self._endpoint.post("/chat/completions/render", encode(plain), _Rendering.read)
        past = await self._rendered_turns(plain, plain["messages"][: place + 1])
        prompt = splice(prefix, await self._end_of_turn(plain), past, rendering["token_ids"])
        if prompt is None:
            return None
        body = encode({**rendering, "token_ids": prompt})
        route = "/inference/v1/generate"
        generation = await self._endpoint.post(route, body, _Generation.read, at_root=True)
        (choice,) = generation["choices"]
        query = {
            "model": request["model"],
            "prompt_tokens": len(prompt),
            "prompt_token_ids": prompt,
            "chat_request": plain,
            "generate_response": {**generation, "choices": [_without_end(choice)]},
        }
        completion = await self._endpoint.post("/chat/completions/derender", encode(query), _Completion.read)
        log_probs = [entry["logprob"] for entry in choice["logprobs"]["content"]]
        evidence = dict(zip(TOKEN_FIELDS, (prompt, choice["token_ids"], log_probs), strict=True))
        (answer,) = completion["choices"]
        message = {**answer["message"], **evidence}
        whole = {"index": 0, "finish_reason": answer.get("finish_reason"), "message": message}
        return {**completion, "choices": [whole], "usage": generation.get("usage")}

    async def _end_of_turn(self, request: dict[str, Any]) -> list[int]:
        """The ids of the constant text that the template adds after an assistant's turn."""
        if self._turn_end is None:
            turns = [
                [{"role": "user", "content": "x"}, {"role": "assistant", "content": text}] for text in "ab"
            ]
            one, other = [await self._rendered_turns(request, turn) for turn in turns]
            same = takewhile(
                lambda pair: pair[0] == pair[1], zip(reversed(one), reversed(other), strict=False)
            )
            self._turn_end = [token for token, _ in same][::-1]
        return self._turn_end

    async def _rendered_turns(self, request: dict[str, Any], messages: list[dict[str, Any]]) -> list[int]:
        body = {**request, "messages": messages, "add_generation_prompt": False}
        return await rendered_ids(self._endpoint, body)


def splice(history: list[int], turn_end: list[int], past: list[int], whole: list[int]) -> list[int] | None:
    """`history`, then the ids of the text that the template adds after it.

    Args:
        history: the engine's own ids of the conversation up to the end of a turn; the end is missing when
            the turn was cut off.
        turn_end: the template's ids of the end of a turn.
        past: the template's ids of the conversation up to the end of that turn.
        whole: the template's ids of the whole conversation.

    Returns:
        None when `past` does not end with `turn_end`, or when `whole` does not begin with `past`.
    """
    if not turn_end or past[-len(turn_end) :] != turn_end or whole[: len(past)] != past:
        return None
    has_end = history[-1:] == turn_end[:1]
    return [*history, *(turn_end[1:] if has_end else turn_end), *whole[len(past) :]]


def _without_tokens(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in TOKEN_FIELDS}


def _without_end(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice without the id that ended it, which is not part of the text."""
    if choice.get("finish_reason") != "stop" or choice.get("stop_reason") is not None:
        return choice
    log_probs = {**choice["logprobs"], "content": choice["logprobs"]["content"][:-1]}
    return {**choice, "token_ids": choice["token_ids"][:-1], "logprobs": log_probs}


class _Answer(msgspec.Struct):
    """The required fields of an answer. Other fields are passed on unchanged."""

    @classmethod
    def read(cls, content: bytes) -> dict[str, Any]:
        try:
            value = msgspec.json.decode(content)
            msgspec.convert(value, cls)
        except msgspec.DecodeError as error:
            raise ValueError(f"not what vLLM's token routes answer: {error}") from None
        return cast("dict[str, Any]", value)


class _Rendering(_Answer):
    token_ids: list[int]


class _Logprob(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Logprob]


class _GenerationChoice(msgspec.Struct):
    token_ids: list[int]
    logprobs: _Logprobs


class _Generation(_Answer):
    choices: tuple[_GenerationChoice]


class _CompletionChoice(msgspec.Struct):
    message: dict[str, Any]


class _Completion(_Answer):
    choices: tuple[_CompletionChoice]
