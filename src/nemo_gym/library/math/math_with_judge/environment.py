"""Mathematics with a final answer that can be compared."""

from collections.abc import Mapping
from typing import Any

from nemo_gym import Environment, Response, Reward, Session, Task
from nemo_gym.stats.passes import compute_pass_majority_metrics, highest_k_metrics
from nemo_gym.verifiers.math import grade
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import Row


class MathWithJudge(Environment):
    """Solve a mathematics problem; the final answer is compared symbolically with the expected one."""

    domain = "math"
    stateless = True
    answer_key = "extracted_answer"

    class Task(Task):
        question: str
        expected_answer: str
        """LaTeX or plain notation; dollar signs or a box around it are ignored."""

    def seed(self, task: Task, session: Session) -> None:
        """Refuse a row that no answer could be right for.

        Raises:
            TaskUnfit: the expected answer is blank.
        """
        if not task.expected_answer.strip():
            raise TaskUnfit("expected_answer is blank: give the right answer of the question")

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        result = grade(response.final_text, task.expected_answer)
        details = {"library_reward": result.score, "extracted_answer": result.extracted}
        return Reward(result.score, details=details)

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]:
        return compute_pass_majority_metrics(tasks, _scores, self.answer_key)[0]

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        usage = ("mean/input_tokens", "mean/output_tokens")
        scores = ("symbolic_accuracy",)
        return {
            **{name: agent_metrics[name] for name in usage if name in agent_metrics},
            **highest_k_metrics(agent_metrics, "pass@1[avg-of-{k}]", (*scores, "no_answer")),
            **highest_k_metrics(agent_metrics, "pass@{k}", scores),
            **highest_k_metrics(agent_metrics, "majority@{k}", scores),
        }

    def oracle(self, task: Task, session: Session) -> str:
        return rf"\boxed{{{task.expected_answer}}}"


def _scores(row: Mapping[str, Any]) -> dict[str, float]:
    return {"symbolic_accuracy": row["library_reward"]} if "library_reward" in row else {}
