"""`StandIn`: takes the place of a model that an environment asks, and always answers the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Final, TypeAlias

from nemo_gym.environments.resources import AskedModel, Resources
from nemo_gym.wire.items import assistant
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

NO_ANSWER: Final = "no answer"
"""The answer of a stand-in for which no other answer is set."""
Answers: TypeAlias = Mapping[str, str | list[str]]
"""The answers of the models, by name: one text for every call, or a list of texts for the calls in turn."""


class StandIn(AskedModel):
    """Gives the answers that `answer_as` sets for the current task of asyncio; no call leaves the process."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def responses(self, params: RequestParams) -> Response:
        playing = _playing.get()
        text = playing.next_text(self._name) if playing else NO_ANSWER
        return Response.of([assistant(text)], model="stand-in")


def stand_ins(names: Iterable[str]) -> Resources:
    """A stand-in for every model that an environment asks."""
    return Resources(models={name: StandIn(name) for name in names})


def answer_as(answers: Answers) -> None:
    """Set the answers of stand-ins in this task of asyncio and in the tasks that it starts."""
    _playing.set(_Playing(answers))


class _Playing:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._calls: dict[str, int] = {}

    def next_text(self, name: str) -> str:
        answers = self._answers.get(name, NO_ANSWER)
        if isinstance(answers, str):
            return answers
        number = self._calls[name] = self._calls.get(name, -1) + 1
        return answers[number % len(answers)] if answers else NO_ANSWER


_playing: Final[ContextVar[_Playing | None]] = ContextVar("playing", default=None)
