"""Short questions about facts: a judge says whether the answer is correct, wrong or missing."""

import random
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, generate_tasks
from nemo_gym.environments.judge import ask_label
from nemo_gym.environments.short_questions import short_question
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask

INSTRUCTIONS = """\
You grade an answer to a question by the reference answer alone.
A: the answer contains the reference answer and nothing that contradicts it.
B: the answer contradicts the reference, hedges, or offers several different answers.
C: the answer gives no answer, and contradicts nothing."""
REASONS = {"A": "right", "B": "wrong", "C": "no_answer"}


class SimpleQA(Environment):
    """Answer short questions about facts; a judge compares the answer with the right one."""

    asks = ("judge",)
    domain = "knowledge"
    stateless = True

    class Config(Environment.Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """The difficulty of the generated questions."""
        judge_responses_create_params: dict[str, Any] = {}
        """Request parameters of the judge's calls."""

    class Task(Task):
        question: str
        expected_answer: str

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        def make(rng: random.Random) -> "SimpleQA.Task":
            question, answer = short_question(rng, self.config.level)
            return self.Task(
                responses_create_params={**ask(question)}, question=question, expected_answer=answer
            )

        return generate_tasks(self, make, lambda task: task.question, split=split, seed=seed, n=n)

    def seed(self, task: Task, session: Session) -> None:
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the right answer of the question")

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        answer = strip_reasoning(response.final_text).strip()
        grade = "C"
        if answer:
            data = {"QUESTION": task.question, "REFERENCE": task.expected_answer, "ANSWER": answer}
            params = self.config.judge_responses_create_params
            grade = (
                await ask_label(self.models["judge"], INSTRUCTIONS, data, tuple(REASONS), params=params)
            ).value
        details = {"extracted_answer": answer[:200] or None, "verdict": grade, "reason": REASONS[grade]}
        return Reward(float(grade == "A"), details=details)

    def oracle(self, task: Task, session: Session) -> str:
        return task.expected_answer
