"""The reasoning environment: which family and level a task is of, and whether its answer is right."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar

import msgspec

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.session import Session
from nemo_gym.library.reasoning.reasoning import arithmetic, language, logic, puzzles
from nemo_gym.library.reasoning.reasoning.answers import MAX_ANSWER, extract, plain_answer, same_text
from nemo_gym.library.reasoning.reasoning.problem import Family, Problem
from nemo_gym.wire.errors import TaskUnfit, UsageError, did_you_mean
from nemo_gym.wire.items import Item, assistant, system, user
from nemo_gym.wire.params import RequestParams, ask
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Task

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (*arithmetic.FAMILIES, *language.FAMILIES, *logic.FAMILIES, *puzzles.FAMILIES)
}
SPLITS: dict[str, frozenset[int]] = {
    "train": frozenset({0, 1, 2}),
    "validation": frozenset({3}),
    "example": frozenset({4}),
}
"""Each split owns some fifths of the questions, so no question is in two splits."""
DEFAULT_N = 100
SOLVED = 3
"""Solved problems shown before a question of level 0, taken from another split."""


class ReasoningTask(Task):
    """A row."""

    question: str
    answer: str | None
    metadata: dict[str, Any]
    """`source_dataset` names the family; the rest is what its checker needs. Rows made by the library
    reasoning-gym, which have a `source_index`, are compared with their `answer`."""

    @property
    def is_foreign(self) -> bool:
        """Whether the row was made by the library reasoning-gym, not by a family of this environment."""
        return "source_index" in self.metadata


class Reasoning(Environment):
    """Solve seeded puzzles of many kinds, from one-digit sums to sudoku, at five levels of difficulty."""

    domain: ClassVar[str] = "reasoning"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"

    Task = ReasoningTask

    class Config(Config):
        families: str | list[str] = "all"
        """Names of families, in a list or with commas between, each used equally often; `all` uses every
        family by its own weight."""
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[ReasoningTask]:
        """Task i of a split and seed is the same however many are asked for (100 by default).

        Raises:
            UsageError: there is no such split, or a family of the settings is unknown.
        """
        if split not in SPLITS:
            raise UsageError(
                f"environment {self.name()} has no split {split!r}; it has {', '.join(sorted(SPLITS))}"
            )
        chosen = self._chosen()
        return (self._task(chosen, split, seed, i) for i in range(DEFAULT_N if n is None else n))

    def seed(self, task: ReasoningTask, session: Session) -> None:
        """Refuse a row whose own answer its family's checker does not accept.

        Raises:
            TaskUnfit: naming what is wrong with the row.
        """
        if not task.answer:
            raise TaskUnfit("answer is empty: only rows with an answer to compare with can be scored")
        if task.is_foreign:
            return
        family = _family_of(task)
        try:
            right = _right(family, task, family.read(task.answer))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TaskUnfit(
                f"metadata does not fit the family {family.name}: {type(error).__name__} {error}"
            ) from None
        if not right:
            raise TaskUnfit(f"answer {task.answer!r} is not a right one for the family {family.name}")

    def verify(self, task: ReasoningTask, response: Response, session: Session) -> Reward:
        if task.is_foreign:
            answer = plain_answer(response.final_text)[:MAX_ANSWER]
            right = same_text(answer, task.answer or "")
            return Reward(float(right), details={"extracted_answer": answer or None})
        family = _family_of(task)
        answer = extract(response.final_text, family.read)
        return Reward(float(_right(family, task, answer)), details={"extracted_answer": answer})

    def oracle(self, task: ReasoningTask, session: Session) -> str:
        tagged = task.is_foreign or task.metadata.get("level")
        return f"<answer>{task.answer}</answer>" if tagged else task.answer or ""

    def _chosen(self) -> list[Family]:
        families: str | list[str] = self.config.families
        if families == "all":
            return [family for family in FAMILIES.values() for _ in range(family.weight)]
        names = [name.strip() for name in (families.split(",") if isinstance(families, str) else families)]
        for name in names:
            if name not in FAMILIES:
                raise UsageError(
                    f"environment {self.name()}: families: no family {name!r}.{did_you_mean(name, FAMILIES)}"
                )
        if not names:
            raise UsageError(f"environment {self.name()}: families: name at least one, or say all")
        return [FAMILIES[name] for name in names]

    def _task(self, chosen: list[Family], split: str, seed: int, i: int) -> ReasoningTask:
        level: int = self.config.level
        rng = random.Random(f"{seed}:{split}:{i}")
        family = rng.choice(chosen)
        problem = draw(family, level, split, rng)
        return ReasoningTask(
            task_id=f"{split}-{seed}-{i}-{family.name}-{level}",
            responses_create_params={**request(family, problem.question, level, split)},
            question=problem.question,
            answer=problem.answer,
            metadata={"source_dataset": family.name, "level": level, **problem.metadata},
        )


def draw(family: Family, level: int, split: str, rng: random.Random) -> Problem:
    """A problem whose question belongs to the split."""
    while True:
        problem = family.make(rng, level)
        if zlib.crc32(problem.question.encode()) % 5 in SPLITS[split]:
            return problem


def request(family: Family, question: str, level: int, split: str) -> RequestParams:
    """The question and how to answer it: in a tag or, at level 0, as in the solved problems before it."""
    if level:
        return ask(f"{question}\nPut your final answer, {family.reply}, inside <answer></answer>.")
    items: list[Item] = [system(f"Reply with only {family.reply}.")]
    for number, solved in enumerate(_solved(family, "train" if split == "example" else "example")):
        items += [user(solved.question), assistant(solved.answer, id=f"msg_{number}")]
    return {"input": [*items, user(question)]}


@cache
def _solved(family: Family, split: str) -> tuple[Problem, ...]:
    rng = random.Random(f"solved:{family.name}")
    problems: dict[str, Problem] = {}
    while len(problems) < SOLVED:
        problem = draw(family, 0, split, rng)
        problems[problem.question] = problem
    return tuple(problems.values())


def _family_of(task: ReasoningTask) -> Family:
    name = task.metadata.get("source_dataset")
    if name not in FAMILIES:
        raise TaskUnfit(f"metadata.source_dataset {name!r} is no family.{did_you_mean(str(name), FAMILIES)}")
    return FAMILIES[name]


def _right(family: Family, task: ReasoningTask, given: str | None) -> bool:
    return given is not None and family.is_right(given, task.answer or "", task.metadata)
