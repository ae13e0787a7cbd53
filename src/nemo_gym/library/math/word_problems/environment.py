"""Generated word problems of one to five steps; the answer is compared as mathematics."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from nemo_gym import Reward, Session, Task, ask, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.generated_tasks import after_solved_tasks
from nemo_gym.environments.second_opinion import MathVerify, SecondOpinion
from nemo_gym.library.math.word_problems.stories import write_story
from nemo_gym.verifiers.math import grade
from nemo_gym.verifiers.opposition import is_opposed
from nemo_gym.verifiers.text import last_box, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.response import Response


class WordProblemsTask(Task):
    """A question and its answer."""

    question: str
    expected_answer: str


class WordProblems(Environment):
    """Solve short word problems of one to five steps, some of which have numbers that don't matter."""

    domain: ClassVar[str] = "math"
    stateless: ClassVar[bool | None] = True
    answer_key: ClassVar[str | None] = "extracted_answer"

    Task = WordProblemsTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """Problems of 1 to 5 steps. At level 0 two solved problems come first, and most numbers go up to 5.
        From level 2 on there is a number that doesn't matter."""
        second_opinion: SecondOpinion = None
        """`math_verify` also pays an answer that this package calls equal to the expected one. It is wrong at
        times."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.math_verify = MathVerify() if self.config.second_opinion else None

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[WordProblemsTask]:
        return generate_tasks(self, self.make, lambda task: task.question, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> WordProblemsTask:
        """Draw a problem; at level 0 two solved ones come before it."""
        problem = self.draw(rng)
        return after_solved_tasks(problem, self.draw, solution) if self.config.level == 0 else problem

    def draw(self, rng: random.Random) -> WordProblemsTask:
        """Draw a problem without solved ones."""
        level: int = self.config.level
        story = write_story(rng, level, 5 if level == 0 else 6 + 6 * level)
        request = f"{'Think step by step. ' * (level > 0)}Put the final number into \\boxed{{}}."
        return WordProblemsTask(
            responses_create_params={**ask(f"{story.text}\n\n{request}")},
            question=story.text,
            expected_answer=str(story.count),
            verifier_metadata={"working": story.working},
        )

    def seed(self, task: WordProblemsTask, session: Session) -> None:
        """Refuse a row without an answer.

        Raises:
            TaskUnfit: the expected answer is blank.
        """
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the right answer of the question")

    @blocking
    def verify(self, task: WordProblemsTask, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        box = last_box(text)
        if box is None or is_opposed(text, box.start, box.end, str, is_open=True):
            return Reward(0.0, details={"extracted_answer": None, "reason": "no_answer"})
        grading = grade(response.final_text, task.expected_answer)
        details: dict[str, Any] = {"extracted_answer": grading.extracted}
        score = grading.score
        if self.math_verify and not score and grading.extracted:
            details["math_verify"] = self.math_verify.equal(grading.extracted, task.expected_answer)
            score = float(bool(details["math_verify"]))
        reason = "right" if score else "no_answer" if grading.extracted is None else "wrong"
        return Reward(score, details={**details, "reason": reason})

    def aclose(self) -> None:
        if self.math_verify:
            self.math_verify.close()

    def oracle(self, task: WordProblemsTask, session: Session) -> str:
        return rf"\boxed{{{task.expected_answer}}}"


def solution(task: WordProblemsTask) -> str:
    """The working of a problem of one step, and its answer in a box."""
    answer = task.expected_answer
    return f"{task.verifier_metadata['working']} = {answer}\n\\boxed{{{answer}}}"
