"""Multiple-choice questions: which option did the model pick, and is it the right one?"""

from typing import Annotated

import msgspec

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.session import Session
from nemo_gym.verifiers.choice import GradingMode, grade_choice
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Task


class Mcqa(Environment):
    """Answer multiple-choice questions; the picked option's letter must match."""

    domain = "knowledge"
    answer_key = "extracted_answer"

    class Task(Task):
        options: Annotated[list[dict[str, str]], msgspec.Meta(min_length=1)]
        """One object an option: `{"A": "text"}`."""
        expected_answer: str
        """The right option's letter."""
        grading_mode: GradingMode | None = None
        template_metadata: dict[str, str | list[str] | None] = {}
        """`output_regex`: the data set's own pattern for the answer."""

    class Config(Config):
        grading_mode: GradingMode | None = None
        """Overrides the rows' own; without either, a single letter in the last box is expected."""

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        options = {letter: text for option in task.options for letter, text in option.items()}
        mode = self.config.grading_mode or task.grading_mode or "strict_single_letter_boxed"
        pattern = task.template_metadata.get("output_regex")
        picked = grade_choice(response.final_text, options, mode, pattern)
        expected = task.expected_answer.upper()
        return Reward(
            float(picked == expected), details={"extracted_answer": picked, "expected_answer": expected}
        )

    def oracle(self, task: Task, session: Session) -> str:
        mode = self.config.grading_mode or task.grading_mode or "strict_single_letter_boxed"
        answer = task.expected_answer.upper()
        return f"Answer: {answer}" if "colon" in mode else f"\\boxed{{{answer}}}"
