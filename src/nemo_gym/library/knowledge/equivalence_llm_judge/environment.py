"""Free answers: a judge says whether the answer means the same as the expected one, in both orders."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nemo_gym import Response, Reward, Session, blocking
from nemo_gym.environments.judge import ask_label
from nemo_gym.environments.judged_questions import JudgedQuestions, QuestionConfig, QuestionRow
from nemo_gym.verifiers.patterns import check_patterns, last_match
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit

INSTRUCTIONS = """\
You compare two answers to one question. You do not answer the question.
They are equal when they say the same, in whatever words or notation.
They are not equal when one is missing, hedges, names several alternatives, or says more that is false."""


class EquivalenceLlmJudge(JudgedQuestions):
    """Answer a question freely; a judge says whether the answer is equivalent to the expected one."""

    class Config(QuestionConfig):
        judge_equal_label: Annotated[str, Meta(min_length=1)] = "[[A=B]]"
        judge_not_equal_label: Annotated[str, Meta(min_length=1)] = "[[A!=B]]"
        check_twice_swap: bool = True
        """Whether the judge must call the answers equal in both orders."""
        reward_if_swap_fails: Annotated[float, Meta(ge=0, le=1)] = 0.0
        use_per_record_regex: bool = True
        """Whether the answer is what the row's `template_metadata.output_regex` matches last."""
        extraction_length_threshold: int = 120
        """An expected answer with more characters is compared with the whole answer; -1 sets no limit."""
        check_full_generation_on_fail: bool = True
        """Whether the whole answer is compared when the match of the pattern is not equal."""
        reward_if_full_generation_succeeds: Annotated[float, Meta(ge=0, le=1)] = 0.5

    class Task(QuestionRow):
        template_metadata: dict[str, Any] | None = None
        """`output_regex`: the data set's own pattern or patterns for the answer."""

        @property
        def patterns(self) -> list[str]:
            """The row's own patterns."""
            value: Any = (self.template_metadata or {}).get("output_regex")
            patterns: str | list[str] | None = msgspec.convert(value, str | list[str] | None)
            return [patterns] if isinstance(patterns, str) else patterns or []

    @blocking
    def seed(self, task: Task, session: Session) -> None:
        super().seed(task, session)
        try:
            check_patterns(task.patterns)
        except ValueError as error:
            raise TaskUnfit(f"template_metadata.output_regex: {error}") from None

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text).strip()
        answer = await self.extract(task, text)
        evaluations: list[dict[str, Any]] = []
        reward = await self.judge(task, answer, evaluations) if answer else 0.0
        if reward == 0.0 and text and answer != text and self.config.check_full_generation_on_fail:
            reward = self.config.reward_if_full_generation_succeeds * (
                await self.judge(task, text, evaluations) == 1.0
            )
        reason = "right" if reward == 1.0 else "partial" if reward else "wrong" if answer else "no_answer"
        details = {
            "extracted_answer": answer[:200] if answer else None,
            "reason": reason,
            "judge_evaluations": evaluations,
        }
        return Reward(reward, details=details)

    @blocking
    def extract(self, task: Task, text: str) -> str | None:
        """The part of a text that is compared; None if the row's pattern does not match."""
        limit: int = self.config.extraction_length_threshold
        is_short = limit < 0 or len(task.expected_answer) <= limit
        if not (self.config.use_per_record_regex and task.patterns and is_short):
            return text
        try:
            match = last_match(task.patterns, text)
        except ValueError:
            return None
        return match.strip() if match else None

    async def judge(self, task: Task, answer: str, evaluations: list[dict[str, Any]]) -> float:
        """The reward of an answer; the judge's verdicts are added to `evaluations`."""
        labels = (self.config.judge_equal_label, self.config.judge_not_equal_label)
        instructions = f"{INSTRUCTIONS}\nEqual: {labels[0]}. Not equal: {labels[1]}."
        params = self.config.judge_responses_create_params
        orders = [(task.expected_answer, answer), (answer, task.expected_answer)]
        for is_swapped, (a, b) in enumerate(orders if self.config.check_twice_swap else orders[:1]):
            data = {"QUESTION": task.question, "ANSWER A": a, "ANSWER B": b}
            verdict = await ask_label(self.models["judge"], instructions, data, labels, params=params)
            evaluations.append({"is_swapped": bool(is_swapped), "verdict_label": verdict.value})
            if verdict.value != labels[0]:
                return self.config.reward_if_swap_fails if is_swapped else 0.0
        return 1.0
