"""Writing under harder instructions that a program can verify, as in IFBench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from nemo_gym import Reward, Session, blocking
from nemo_gym.environments import instruction_tasks as writing
from nemo_gym.library.instruction_following.ifbench.kinds import KINDS
from nemo_gym.verifiers.instructions import check_instructions
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.response import Response


class WritingRow(writing.WritingRow):
    """A prompt whose instructions a program can verify."""

    grading_mode: Literal["binary", "fraction"] = "fraction"


class Ifbench(writing.WritingEnvironment):
    """Write a text that follows unusual instructions about its words, sentences and layout."""

    Task = WritingRow
    kinds: ClassVar[Sequence[writing.Kind]] = KINDS

    class Config(writing.WritingConfig):
        loose: bool = False
        """Whether the loose verdict is the reward: an instruction also counts as followed without the first
        or the last line of the answer, or without its asterisks."""

    @blocking
    def verify(self, task: WritingRow, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        checks = check_instructions(task.instruction_id_list, task.kwargs)
        strict, loose = checks.strict(text), checks.loose(text)
        details = {
            **writing.details_of(strict, text),
            "follow_all_instructions_loose": loose.all,
            "follow_instruction_list_loose": [*loose.each],
            "reward_loose": task.reward(loose),
        }
        return Reward(task.reward(loose if self.config.loose else strict), details=details)
