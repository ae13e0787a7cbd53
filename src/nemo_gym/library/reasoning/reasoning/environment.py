"""Seeded reasoning problems: it makes tasks of many families and levels, and checks their answers."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar

import msgspec

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.session import Session
from nemo_gym.library.reasoning.reasoning import arithmetic, language, logic, package_rows, puzzles
from nemo_gym.library.reasoning.reasoning.answers import extract
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
    "test": frozenset({4}),
}
"""The remainders of a question's checksum by 5 that belong to each split. Only `example` and `test` may share
a question, because `example` is only for a first try."""
DEFAULT_N = 100
DEMONSTRATIONS = 3
"""How many solved problems of another split come before a question of level 0."""


class ReasoningTask(Task):
    """A question with a right answer."""

    question: str
    answer: str | None
    metadata: dict[str, Any]
    """`source_dataset` is the name of the family; the other facts are for its checker."""

    @property
    def is_from_reasoning_gym(self) -> bool:
        """Whether the row comes from the library reasoning-gym. An answer is compared with the text of
        `answer`, and of a few data sets with the facts of the row."""
        return "source_index" in self.metadata

    @property
    def family(self) -> Family:
        """The family of the question.

        Raises:
            TaskUnfit: there is no such family.
        """
        name = self.metadata.get("source_dataset")
        if name not in FAMILIES:
            hint = did_you_mean(str(name), FAMILIES)
            raise TaskUnfit(f"metadata.source_dataset {name!r} is no family.{hint}")
        return FAMILIES[name]

    def accepts(self, answer: str | None) -> bool:
        """Whether an answer in the family's canonical form is right; None is no answer."""
        return answer is not None and self.family.is_right(answer, self.answer or "", self.metadata)


class Reasoning(Environment):
    """Solve seeded puzzles of many kinds, from one-digit sums to sudoku, at five levels of difficulty."""

    domain: ClassVar[str] = "reasoning"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"

    Task = ReasoningTask

    class Config(Config):
        families: str | list[str] = "all"
        """Names of families, as a list or with commas between them; each is used equally often. `all` uses
        every family by its weight."""
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The difficulty of the problems."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[ReasoningTask]:
        """Task i of a split and seed is the same for every `n` (100 by default).

        Raises:
            UsageError: there is no such split, or the settings have an unknown family.
        """
        self.check_split(split, sorted(SPLITS))
        families = self.families()
        return (self.task(families, split, seed, i) for i in range(DEFAULT_N if n is None else n))

    def task(self, families: list[Family], split: str, seed: int, i: int) -> ReasoningTask:
        """Task i of a split, of one of the families."""
        level: int = self.config.level
        rng = random.Random(f"{seed}:{split}:{i}")
        family = rng.choice(families)
        problem = draw(family, level, split, rng)
        return ReasoningTask(
            task_id=f"{split}-{seed}-{i}-{family.name}-{level}",
            responses_create_params={**request(family, problem.question, level, split)},
            question=problem.question,
            answer=problem.answer,
            metadata={"source_dataset": family.name, "level": level, **problem.metadata},
        )

    def seed(self, task: ReasoningTask, session: Session) -> None:
        """Refuse a row whose own answer is not right for its family.

        Raises:
            TaskUnfit: the row has no answer, a wrong answer, or facts that do not fit its family.
        """
        if not task.answer:
            raise TaskUnfit("answer is empty: only rows with an answer to compare with can be scored")
        if task.is_from_reasoning_gym:
            return
        family = task.family
        try:
            right = task.accepts(family.read(task.answer))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TaskUnfit(
                f"metadata does not fit the family {family.name}: {type(error).__name__} {error}"
            ) from None
        if not right:
            raise TaskUnfit(f"answer {task.answer!r} is not a right one for the family {family.name}")

    def verify(self, task: ReasoningTask, response: Response, session: Session) -> Reward:
        if task.is_from_reasoning_gym:
            right, answer = package_rows.grade(response.final_text, task.answer or "", task.metadata)
            return Reward(float(right), details={"extracted_answer": answer or None})
        answer = extract(response.final_text, task.family.read)
        return Reward(float(task.accepts(answer)), details={"extracted_answer": answer})

    def oracle(self, task: ReasoningTask, session: Session) -> str:
        needs_tag = task.is_from_reasoning_gym or task.metadata.get("level")
        return f"<answer>{task.answer}</answer>" if needs_tag else task.answer or ""

    def families(self) -> list[Family]:
        """The families of the settings; each is in the list as often as its weight says.

        Raises:
            UsageError: there is no such family.
        """
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


def draw(family: Family, level: int, split: str, rng: random.Random) -> Problem:
    """A problem whose question belongs to the split."""
    while True:
        problem = family.make(rng, level)
        if zlib.crc32(problem.question.encode()) % 5 in SPLITS[split]:
            return problem


def request(family: Family, question: str, level: int, split: str) -> RequestParams:
    """The question and the form of the answer: in a tag or, at level 0, as in the solved problems before."""
    if level:
        return ask(f"{question}\nPut your final answer, {family.reply}, inside <answer></answer>.")
    items: list[Item] = [system(f"Reply with only {family.reply}.")]
    for number, problem in enumerate(
        demonstrations(family, "example" if SPLITS[split].isdisjoint(SPLITS["example"]) else "train")
    ):
        items += [user(problem.question), assistant(problem.answer, id=f"msg_{number}")]
    return {"input": [*items, user(question)]}


@cache
def demonstrations(family: Family, split: str) -> tuple[Problem, ...]:
    """Different problems of level 0, always the same ones."""
    rng = random.Random(f"solved:{family.name}")
    problems: dict[str, Problem] = {}
    while len(problems) < DEMONSTRATIONS:
        problem = draw(family, 0, split, rng)
        problems[problem.question] = problem
    return tuple(problems.values())
