"""Multiple-choice questions: which option did the model pick, and is it the right one?"""

from typing import Annotated, Any

import msgspec

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.session import Session
from nemo_gym.verifiers.choice import GradingMode, grade_choice
from nemo_gym.verifiers.passes import highest_k_metrics
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

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        alone = ("mean/reward", "pass@1/accuracy")
        return {
            **highest_k_metrics(agent_metrics, "pass@1[avg-of-{k}]", ("accuracy", "no_answer")),
            **highest_k_metrics(agent_metrics, "pass@{k}", ("no_answer",)),
            **highest_k_metrics(agent_metrics, "majority@{k}", ("accuracy",)),
            **{name: agent_metrics[name] for name in alone if name in agent_metrics},
        }

    def oracle(self, task: Task, session: Session) -> str:
        mode = self.config.grading_mode or task.grading_mode or "strict_single_letter_boxed"
        answer = task.expected_answer.upper()
        return f"Answer: {answer}" if "colon" in mode else f"\\boxed{{{answer}}}"
