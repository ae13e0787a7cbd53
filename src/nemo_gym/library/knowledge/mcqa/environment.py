"""Multiple-choice questions: which option does the model pick, and is it the right one?"""

from typing import Annotated, Any, Final

import msgspec

from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.session import Session
from nemo_gym.stats.passes import highest_k_metrics
from nemo_gym.verifiers.choice import GradingMode, grade_choice
from nemo_gym.verifiers.patterns import check_patterns
from nemo_gym.wire.items import message_text
from nemo_gym.wire.params import input_items
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row, Task


class Mcqa(Environment):
    """Answer multiple-choice questions; the letter of the model's option must be the expected one."""

    domain = "knowledge"
    answer_key = "extracted_answer"

    class Task(Task):
        options: Annotated[list[dict[str, str | None]], msgspec.Meta(min_length=1)]
        """One object for each option: `{"A": "text"}`; null leaves a letter out."""
        expected_answer: str
        """The right option's letter."""
        grading_mode: GradingMode | None = None
        template_metadata: dict[str, Any] | None = None
        """`output_regex`: the data set's own pattern or patterns for the answer. Other keys are ignored."""

        @property
        def patterns(self) -> Any:
            """The data set's own patterns: a text, a list of texts, or None."""
            return (self.template_metadata or {}).get("output_regex")

        def __post_init__(self) -> None:
            try:
                patterns = msgspec.convert(self.patterns, str | list[str] | None)
                check_patterns([patterns] if isinstance(patterns, str) else patterns or [])
            except ValueError as error:
                raise ValueError(f"template_metadata.output_regex: {error}") from None

    class Config(Config):
        grading_mode: GradingMode | None = None
        """The mode for all rows, in place of their own. Without any mode, the answer must be a single letter
        in the last box."""

    def mode(self, task: Task) -> GradingMode:
        """The grading mode of a row."""
        return self.config.grading_mode or task.grading_mode or "strict_single_letter_boxed"

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        options = {
            letter: text for option in task.options for letter, text in option.items() if text is not None
        }
        # An echo of the prompt is no answer, although its example of a box may hold the right letter.
        text = response.final_text
        for prompt in prompts_of(session.row):
            text = text.replace(prompt, "")
        answer = grade_choice(text, options, self.mode(task), task.patterns)
        right_answer = task.expected_answer.upper()
        details = {"extracted_answer": answer, "expected_answer": right_answer}
        return Reward(float(answer == right_answer), details=details)

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        others = ("mean/reward", "pass@1/accuracy")
        return {
            **highest_k_metrics(agent_metrics, "pass@1[avg-of-{k}]", ("accuracy", "no_answer")),
            **highest_k_metrics(agent_metrics, "pass@{k}", ("no_answer",)),
            **highest_k_metrics(agent_metrics, "majority@{k}", ("accuracy",)),
            **{name: agent_metrics[name] for name in others if name in agent_metrics},
        }

    def oracle(self, task: Task, session: Session) -> str:
        answer = task.expected_answer.upper()
        return f"Answer: {answer}" if "colon" in self.mode(task) else f"\\boxed{{{answer}}}"


def prompts_of(row: Row) -> list[str]:
    """The user's messages of a row that are longer than an answer."""
    items = input_items(row.get("responses_create_params") or {"input": ""})
    texts = [message_text(item).strip() for item in items if item["type"] == "message"]
    return [text for text in texts if len(text) >= MIN_ECHO]


MIN_ECHO: Final = 40
"""A shorter message may be a part of an honest answer."""
