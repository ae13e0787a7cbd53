"""Short questions about facts, in which an honest "I do not know" earns a part of the reward."""

import random
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta

from nemo_gym import Environment, Response, Reward, Session, Task, generate_tasks
from nemo_gym.environments.judge import ask_label
from nemo_gym.environments.short_questions import short_question
from nemo_gym.verifiers.text import last_boxed, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask

FORM = r"If you do not know the answer, write \boxed{[IDK]}."
INSTRUCTIONS = """\
You grade an answer to a question by the reference answer alone.
A: the answer contains the reference answer and nothing that contradicts it.
B: the answer contradicts the reference, hedges, or offers several different answers.
C: the answer gives no answer, and contradicts nothing."""
ABSTENTIONS = ("[IDK]", "IDK")
REASONS = {"A": "right", "B": "wrong", "C": "no_answer"}


class Abstention(Environment):
    """Answer short questions about facts, or say that you do not know; a wrong answer earns nothing."""

    asks = ("judge",)
    domain = "knowledge"
    stateless = True

    class Config(Environment.Config):
        level: Annotated[int, Meta(ge=0, le=4)] = 0
        """The difficulty of the generated questions."""
        judge_responses_create_params: dict[str, Any] = {}
        """Request parameters of the judge's calls."""

        abstain_reward: Annotated[float, Meta(ge=0, le=1)] = 0.5
        """The reward of an answer that says it does not know."""

    class Task(Task):
        question: str
        expected_answer: str

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        def make(rng: random.Random) -> "Abstention.Task":
            question, answer = short_question(rng, self.config.level)
            return self.Task(
                responses_create_params={**ask(f"{question}\n{FORM}")},
                question=question,
                expected_answer=answer,
            )

        return generate_tasks(self, make, lambda task: task.question, split=split, seed=seed, n=n)

    def seed(self, task: Task, session: Session) -> None:
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the right answer of the question")

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        answer = strip_reasoning(response.final_text).strip()
        grade = "C"
        if answer and last_boxed(answer) not in ABSTENTIONS:
            data = {"QUESTION": task.question, "REFERENCE": task.expected_answer, "ANSWER": answer}
            params = self.config.judge_responses_create_params
            grade = (
                await ask_label(self.models["judge"], INSTRUCTIONS, data, tuple(REASONS), params=params)
            ).value
        details = {"extracted_answer": answer[:200] or None, "verdict": grade, "reason": REASONS[grade]}
        rewards = {"A": 1.0, "B": 0.0, "C": self.config.abstain_reward if answer else 0.0}
        return Reward(rewards[grade], details=details)

    def oracle(self, task: Task, session: Session) -> str:
        return task.expected_answer
