"""Multiple-choice questions: which option did the model pick, and is it the right one?"""

from typing import Annotated, Any

import msgspec

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.session import Session
from nemo_gym.stats.passes import highest_k_metrics
from nemo_gym.verifiers.choice import GradingMode, grade_choice
from nemo_gym.verifiers.patterns import check_patterns
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Task


class Mcqa(Environment):
    """Answer multiple-choice questions; the picked option's letter must match."""

    domain = "knowledge"
    answer_key = "extracted_answer"

    class Task(Task):
        options: Annotated[list[dict[str, str | None]], msgspec.Meta(min_length=1)]
        """One object an option: `{"A": "text"}`; null leaves a letter out."""
        expected_answer: str
        """The right option's letter."""
        grading_mode: GradingMode | None = None
        template_metadata: dict[str, Any] | None = None
        """`output_regex`: the data set's own pattern or patterns for the answer. The rest is not read."""

        def __post_init__(self) -> None:
            try:
                patterns = msgspec.convert(self._output_regex, str | list[str] | None)
                check_patterns([patterns] if isinstance(patterns, str) else patterns or [])
            except ValueError as error:
                raise ValueError(f"template_metadata.output_regex: {error}") from None

        @property
        def patterns(self) -> str | list[str] | None:
            """The data set's own patterns, checked."""
            return self._output_regex

        @property
        def _output_regex(self) -> Any:
            return (self.template_metadata or {}).get("output_regex")

    class Config(Config):
        grading_mode: GradingMode | None = None
        """Overrides the rows' own; without either, a single letter in the last box is expected."""

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        options = {
            letter: text for option in task.options for letter, text in option.items() if text is not None
        }
        mode = self.config.grading_mode or task.grading_mode or "strict_single_letter_boxed"
        picked = grade_choice(response.final_text, options, mode, task.patterns)
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
