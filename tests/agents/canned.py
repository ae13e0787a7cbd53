"""Models that say what a test wrote down, and remember what they were asked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from nemo_gym import Model, Response, ask
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Usage


class Canned(Model):
    """Gives the answers in turn; an exception among them is raised."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[RequestParams] = []

    async def responses(self, params: RequestParams) -> Response:
        self.asked.append(copy.deepcopy(params))
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Endless(Model):
    """Gives the same answer for ever."""

    def __init__(self, make: Callable[[], Response]) -> None:
        self.make = make
        self.calls = 0

    async def responses(self, params: RequestParams) -> Response:
        self.calls += 1
        return self.make()


def say(text: str, **options: Any) -> Response:
    """One assistant message."""
    return Response.of([assistant(text)], **options)


def calls(*names: str, **options: Any) -> Response:
    """Calls of tools without arguments, `call_0` first."""
    made: list[Item] = [function_call(name, "{}", call_id=f"call_{n}") for n, name in enumerate(names)]
    return Response.of(made, **options)


def think(text: str = "hm") -> Response:
    """Reasoning and nothing else."""
    return Response.of(
        [{"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": text}]}]
    )


def usage(read: int, written: int, *, cached: int | None = 0, reasoning: int | None = 0) -> Usage:
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": read + written,
    }


def row(prompt: str = "go", **params: Any) -> dict[str, Any]:
    request = {**ask(prompt), **params}
    return {"responses_create_params": request, "_ng_task_index": 0, "_ng_rollout_index": 0}
