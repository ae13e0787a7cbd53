"""Short questions about facts, in which an honest "I do not know" earns a part of the reward."""

from typing import Annotated

from msgspec import Meta

from nemo_gym import Response, Reward, Session
from nemo_gym.environments.judged_questions import JudgedQuestions, QuestionConfig, QuestionRow, details_of
from nemo_gym.verifiers.text import last_boxed, strip_reasoning

ABSTENTIONS = ("[IDK]", "IDK")


class Abstention(JudgedQuestions):
    """Answer short questions about facts, or say that you do not know; a wrong answer earns nothing."""

    form = "\n" + r"If you do not know the answer, write \boxed{[IDK]}."

    class Config(QuestionConfig):
        abstain_reward: Annotated[float, Meta(ge=0, le=1)] = 0.5
        """The reward of an answer that says it does not know."""

    async def verify(self, task: QuestionRow, response: Response, session: Session) -> Reward:
        answer = strip_reasoning(response.final_text).strip()
        is_judged = answer and last_boxed(answer) not in ABSTENTIONS
        grade = await self.grade(task, answer) if is_judged else "C"
        rewards = {"A": 1.0, "B": 0.0, "C": self.config.abstain_reward if answer else 0.0}
        return Reward(rewards[grade], details=details_of(answer, grade))
