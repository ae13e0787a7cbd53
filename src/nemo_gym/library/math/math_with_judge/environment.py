"""Mathematics problems, whose answers are compared symbolically and then, if they differ, by a judge."""

from collections.abc import Iterable, Mapping
from typing import Any

from nemo_gym import Environment, Response, Reward, Session, Task, blocking
from nemo_gym.environments.judge import ask_label
from nemo_gym.environments.second_opinion import MathVerify, SecondOpinion
from nemo_gym.stats.passes import compute_pass_majority_metrics, highest_k_metrics
from nemo_gym.verifiers.math import MathGrade, grade
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import Row

EQUAL, UNEQUAL = "[[A=B]]", "[[A!=B]]"
INSTRUCTIONS = f"""\
You compare two final answers, A and B, to one mathematics problem. You do not solve the problem.
A and B are equal ({EQUAL}) when they have the same value or describe the same object, in whatever notation.
They are not equal ({UNEQUAL}) when one is missing, names several alternatives, or is only close to the
other."""
MAX_ANSWER = 4000
"""The most characters of an answer that the judge sees; a longer answer loses its beginning."""


class MathWithJudge(Environment):
    """Solve a mathematics problem; the final answer is compared symbolically with the expected one."""

    asks = ("judge",)
    domain = "math"
    stateless = True
    answer_key = "extracted_answer"

    class Config(Environment.Config):
        should_use_judge: bool | None = None
        """Whether a judge compares the answers that are not symbolically equal. None uses a judge if there is
        one."""
        judge_responses_create_params: dict[str, Any] = {}
        """Request parameters of the judge's calls, such as `temperature`."""
        second_opinion: SecondOpinion = None
        """`math_verify` also pays an answer that this package calls equal to the expected one. It is wrong at
        times."""

    class Task(Task):
        question: str
        expected_answer: str
        """LaTeX or plain notation; dollar signs or a box around it are ignored."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.math_verify = MathVerify() if self.config.second_opinion else None

    def needed_models(self) -> Iterable[str]:
        return self.asks if self.config.should_use_judge else ()

    def seed(self, task: Task, session: Session) -> None:
        """Refuse a row without an expected answer.

        Raises:
            TaskUnfit: the expected answer is blank.
        """
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the right answer of the question")

    async def verify(self, task: Task, response: Response, session: Session) -> Reward:
        grading = await self.grade(response.final_text, task.expected_answer)
        details: dict[str, Any] = {"library_reward": grading.score, "extracted_answer": grading.extracted}
        if self.math_verify and not grading.score and grading.extracted:
            details["math_verify"] = await self.ask_math_verify(grading.extracted, task.expected_answer)
            if details["math_verify"]:
                return Reward(1.0, details=details)
        use_judge = self.config.should_use_judge
        if use_judge is None:
            use_judge = "judge" in self.models
        if not use_judge:
            return Reward(grading.score, details=details)
        answer = (grading.extracted or strip_reasoning(response.final_text)).strip()[-MAX_ANSWER:]
        evaluations: list[dict[str, Any]] = []
        details["judge_evaluations"] = evaluations
        if grading.score > 0.5 or not answer:
            return Reward(grading.score, details=details)
        # A judge may prefer the first answer, so it must call them equal in both orders.
        for a, b in ((task.expected_answer, answer), (answer, task.expected_answer)):
            evaluations.append(await self.compare(task.question, a, b))
            if evaluations[-1]["verdict_label"] != EQUAL:
                return Reward(0.0, details=details)
        return Reward(1.0, details=details)

    @blocking
    def grade(self, text: str, expected: str) -> MathGrade:
        """The verdict of the library. A very long text takes some milliseconds."""
        return grade(text, expected)

    @blocking
    def ask_math_verify(self, answer: str, expected: str) -> bool | None:
        """The second opinion on an answer that is not symbolically equal."""
        assert self.math_verify is not None
        return self.math_verify.equal(answer, expected)

    def aclose(self) -> None:
        if self.math_verify:
            self.math_verify.close()

    async def compare(self, question: str, a: str, b: str) -> dict[str, Any]:
        """Ask the judge whether two answers are equal; the result has the request, the response and the
        label of the verdict.

        Raises:
            JudgeFailed: the judge gives no verdict, or both.
        """
        verdict = await ask_label(
            self.models["judge"],
            INSTRUCTIONS,
            {"PROBLEM": question, "ANSWER A": a, "ANSWER B": b},
            (EQUAL, UNEQUAL),
            params=self.config.judge_responses_create_params,
        )
        return {
            "responses_create_params": verdict.request,
            "response": verdict.response.data,
            "verdict_label": verdict.value,
        }

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]:
        return compute_pass_majority_metrics(tasks, scores_of, self.answer_key)[0]

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        usage = ("mean/input_tokens", "mean/output_tokens")
        scores = ("symbolic_accuracy", "judge_accuracy")
        return {
            **{name: agent_metrics[name] for name in usage if name in agent_metrics},
            **highest_k_metrics(agent_metrics, "pass@1[avg-of-{k}]", (*scores, "no_answer")),
            **highest_k_metrics(agent_metrics, "pass@{k}", scores),
            **highest_k_metrics(agent_metrics, "majority@{k}", scores),
        }

    def oracle(self, task: Task, session: Session) -> str:
        return rf"\boxed{{{task.expected_answer}}}"


def scores_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The accuracies of a scored row; the judge's is there when the run had a judge."""
    if "library_reward" not in row:
        return {}
    scores = {"symbolic_accuracy": row["library_reward"]}
    if row.get("judge_evaluations") is not None:
        scores["judge_accuracy"] = row["reward"]
    return scores
