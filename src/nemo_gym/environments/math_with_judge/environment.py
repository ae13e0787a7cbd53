"""Mathematics with a final answer that can be compared."""

from nemo_gym import Environment, Response, Reward, Session, Task
from nemo_gym.verifiers.math import grade
from nemo_gym.wire.errors import TaskUnfit


class MathWithJudge(Environment):
    """Solve a mathematics problem; the final answer is compared symbolically with the expected one."""

    domain = "math"
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
        found = grade(response.final_text, task.expected_answer)
        details = {"library_reward": found.score, "extracted_answer": found.extracted}
        return Reward(found.score, details=details)

    def oracle(self, task: Task, session: Session) -> str:
        return rf"\boxed{{{task.expected_answer}}}"
