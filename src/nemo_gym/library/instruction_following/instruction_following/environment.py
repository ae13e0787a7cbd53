"""Writing under instructions that a program can verify, as in IFEval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nemo_gym import Reward, Session, blocking
from nemo_gym.environments.instruction_tasks import Kind, WritingEnvironment, WritingRow, details_of
from nemo_gym.library.instruction_following.instruction_following.kinds import KINDS
from nemo_gym.verifiers.instructions import check_instructions
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.response import Response


class InstructionFollowing(WritingEnvironment):
    """Write a text that follows instructions about its words, length, form and case."""

    kinds: ClassVar[Sequence[Kind]] = KINDS

    @blocking
    def verify(self, task: WritingRow, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        following = check_instructions(task.instruction_id_list, task.kwargs).strict(text)
        return Reward(task.reward(following), details=details_of(following, text))
