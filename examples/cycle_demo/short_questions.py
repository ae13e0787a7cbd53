"""Short questions with one right word or number, for the tasks of the cycle demo."""

from nemo_gym import Environment, Response, Reward, Session, Task
from nemo_gym.verifiers.claims import claimed_number, claims_only


class ShortQuestions(Environment):
    """Answer a short question; the answer must state the expected word or number, and nothing against it."""

    domain = "knowledge"
    stateless = True
    answer_key = "extracted_answer"

    class Task(Task):
        expected_answer: str

    def verify(self, task: Task, response: Response, session: Session) -> Reward:
        text, expected = response.final_text, task.expected_answer
        if expected.isdigit():
            answer = claimed_number(text)
            return Reward(float(answer == expected), details={"extracted_answer": answer})
        is_right = claims_only(text, expected)
        return Reward(float(is_right), details={"extracted_answer": expected if is_right else text[:80]})
