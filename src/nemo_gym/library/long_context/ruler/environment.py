"""Thirteen kinds of questions about long texts, whose answers must contain certain words or numbers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from nemo_gym import Reward, Session, Task, ask, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.library.long_context.ruler.generation import SUBSETS
from nemo_gym.verifiers.denials import SELF
from nemo_gym.verifiers.opposition import is_opposed
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit, UsageError, did_you_mean
from nemo_gym.wire.response import Response

LENGTHS: Final = (60, 250, 1000, 4000, 16000)
"""The words of a text at each level, more or less."""
MARGIN: Final = 200
"""How many characters an answer may have besides four times those of the right words."""


class RulerTask(Task):
    """The words that the answer must contain."""

    outputs: list[str]
    subset: str
    length: int | None = None
    distractors: list[str] = []
    """Wrong words of the text: an answer that contains one of them earns nothing."""


class Ruler(Environment):
    """Find needles, chains of variables, frequent words and facts in long texts: 13 subsets."""

    domain: ClassVar[str] = "long_context"
    stateless: ClassVar[bool | None] = True

    Task = RulerTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """Texts of about 60, 250, 1000, 4000 or 16000 words."""
        length: Annotated[int, msgspec.Meta(ge=20, le=200_000)] | None = None
        """The words of a text, in place of those of the level."""
        subsets: str | list[str] = "all"
        """Names of subsets, as a list or with commas between them."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[RulerTask]:
        """Raises `UsageError` for an unknown subset or split."""
        names = self.subsets()
        return generate_tasks(self, lambda rng: self.make(rng, names), split=split, seed=seed, n=n)

    def subsets(self) -> list[str]:
        """The subsets of the settings.

        Raises:
            UsageError: there is no such subset.
        """
        names = self.config.subsets
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
        if names == ["all"]:
            return list(SUBSETS)
        for name in names:
            if name not in SUBSETS:
                hint = did_you_mean(name, SUBSETS)
                raise UsageError(f"environment {self.name()}: no subset {name!r}.{hint}")
        if not names:
            raise UsageError(f"environment {self.name()}: subsets is empty: name at least one, or say all")
        return names

    def make(self, rng: random.Random, names: list[str]) -> RulerTask:
        """Draw a task of one of the subsets."""
        subset = rng.choice(names)
        level: int = self.config.level
        length: int = self.config.length or LENGTHS[level]
        problem = SUBSETS[subset](rng, length)
        return RulerTask(
            responses_create_params={**ask(problem.question)},
            outputs=problem.outputs,
            subset=subset,
            length=length,
            distractors=problem.distractors,
        )

    def seed(self, task: RulerTask, session: Session) -> None:
        """Refuse a row that any answer would fit.

        Raises:
            TaskUnfit: with the reason.
        """
        if not task.outputs or not all(output.strip() for output in task.outputs):
            raise TaskUnfit("outputs is empty or has an empty text")
        if len(task.outputs) > 1000:
            raise TaskUnfit(f"outputs has {len(task.outputs)} entries: at most 1000 are compared")

    @blocking
    def verify(self, task: RulerTask, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text).strip()
        score, reason = grade(text, task)
        details: dict[str, Any] = {"extracted_answer": text[:2000] or None, "reason": reason}
        return Reward(score, details={**details, task.subset: score} if task.subset in SUBSETS else details)

    def oracle(self, task: RulerTask, session: Session) -> str:
        return ", ".join(task.outputs)


def grade(text: str, task: RulerTask) -> tuple[float, str]:
    """The share of the right words that an answer has (of `qa` one is enough), and the reason."""
    if not text:
        return 0.0, "no_answer"
    if len(text) > MARGIN + 4 * sum(map(len, task.outputs)):
        return 0.0, "too_long"
    if any(contains(text, word) for word in task.distractors):
        return 0.0, "list_of_guesses"
    places = [place for output in task.outputs if (place := _place(text, output))]
    if is_denied(text, places):
        return 0.0, "denied"
    count = len(places)
    if task.subset.startswith("qa"):
        return float(count > 0), "right" if count else "wrong"
    reason = "right" if count == len(task.outputs) else "partly_right" if count else "wrong"
    return count / len(task.outputs), reason


def contains(text: str, word: str) -> bool:
    """Whether a text has a word, in any case, that no letter or digit continues."""
    return _place(text, word) is not None


def is_denied(text: str, places: Sequence[re.Match[str]]) -> bool:
    """Whether the words around one of these parts of a text deny it, or doubt it."""
    parts = re.compile("|".join(_pattern(place[0]) for place in places), re.IGNORECASE)
    return any(
        is_opposed(text, place.start(), place.end(), lambda piece: parts.sub(SELF, piece), is_open=True)
        for place in places
    )


def _place(text: str, word: str) -> re.Match[str] | None:
    if word.casefold() not in text.casefold():
        return None
    return re.search(_pattern(word), text, re.IGNORECASE)


def _pattern(word: str) -> str:
    return rf"(?<!\w){re.escape(word.strip())}(?!\w)"
