"""Environments of short questions with one right answer, which a judge compares with the model's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, cast

from msgspec import Meta

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import generate_tasks
from nemo_gym.environments.judge import ask_label
from nemo_gym.environments.session import Session
from nemo_gym.environments.short_questions import short_question
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Task

REASONS: Final = {"A": "right", "B": "wrong", "C": "no_answer"}
"""What each label of `grade` means."""
_INSTRUCTIONS: Final = """\
You grade an answer to a question by the reference answer alone.
A: the answer contains the reference answer and nothing that contradicts it.
B: the answer contradicts the reference, hedges, or offers several different answers.
C: the answer gives no answer, and contradicts nothing."""


class QuestionRow(Task):
    """A question and its right answer."""

    question: str
    expected_answer: str


class QuestionConfig(Config):
    """Settings of an environment of judged questions."""

    level: Annotated[int, Meta(ge=0, le=4)] = 0
    """The difficulty of the generated questions."""
    judge_responses_create_params: dict[str, Any] = {}
    """Request parameters of the judge's calls."""


class JudgedQuestions(Environment):
    """An environment whose answers a judge compares with the right ones."""

    asks: ClassVar[tuple[str, ...]] = ("judge",)
    domain: ClassVar[str] = "knowledge"
    stateless: ClassVar[bool | None] = True
    Task = QuestionRow
    Config: ClassVar[type[Config]] = QuestionConfig
    form: ClassVar[str] = ""
    """Words after the question in the prompts of generated tasks."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[QuestionRow]:
        return generate_tasks(self, self.draw, lambda task: task.question, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> QuestionRow:
        """A task of the level of the settings."""
        question, answer = short_question(rng, self.config.level)
        kind = cast("type[QuestionRow]", self.Task)
        params = {**ask(question + self.form)}
        return kind(responses_create_params=params, question=question, expected_answer=answer)

    def seed(self, task: Any, session: Session) -> Any:
        """Refuse a row without a right answer.

        Raises:
            TaskUnfit: the right answer is blank.
        """
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the right answer of the question")

    async def grade(self, task: QuestionRow, answer: str) -> str:
        """The judge's label of an answer, a key of `REASONS`.

        Raises:
            JudgeFailed: the judge gives no label.
        """
        data = {"QUESTION": task.question, "REFERENCE": task.expected_answer, "ANSWER": answer}
        params = self.config.judge_responses_create_params
        verdict = await ask_label(self.models["judge"], _INSTRUCTIONS, data, tuple(REASONS), params=params)
        return verdict.value

    def oracle(self, task: QuestionRow, session: Session) -> str:
        return task.expected_answer


def details_of(answer: str, grade: str) -> dict[str, Any]:
    """The columns about an answer and its label."""
    return {"extracted_answer": answer[:200] or None, "verdict": grade, "reason": REASONS[grade]}
