"""Short questions about facts: a judge says whether the answer is correct, wrong or missing."""

from nemo_gym import Response, Reward, Session
from nemo_gym.environments.judged_questions import JudgedQuestions, QuestionRow, details_of
from nemo_gym.verifiers.text import strip_reasoning


class SimpleQA(JudgedQuestions):
    """Answer short questions about facts; a judge compares the answer with the right one."""

    async def verify(self, task: QuestionRow, response: Response, session: Session) -> Reward:
        answer = strip_reasoning(response.final_text).strip()
        grade = await self.grade(task, answer) if answer else "C"
        return Reward(float(grade == "A"), details=details_of(answer, grade))
