"""Short free-text answers, compared with the expected one."""

from nemo_gym.environments.base import Environment
from nemo_gym.environments.session import Session
from nemo_gym.verifiers.exact import ExtractionMode, extract_answer, match_strings
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Task


class StringMatch(Environment):
    """Answer with a short text that must match the expected one; differences of notation are ignored."""

    domain = "knowledge"
    answer_key = "extracted_answer"

    class Task(Task):
        expected_answer: str
        extraction_mode: ExtractionMode = "final_answer"
        case_sensitive: bool = False

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        answer = extract_answer(response.final_text, task.extraction_mode)
        if answer is None:
            return Reward(0.0, details={"extracted_answer": None, "match_type": "no_answer"})
        match = match_strings(answer, task.expected_answer, case_sensitive=task.case_sensitive)
        return Reward(match.score, details={"extracted_answer": answer[:200], "match_type": match.how})

    def oracle(self, task: Task, session: Session) -> str:
        if task.extraction_mode == "boxed":
            return f"\\boxed{{{task.expected_answer}}}"
        if task.extraction_mode == "final_answer":
            return f"Final Answer: {task.expected_answer}"
        return task.expected_answer
