"""Writing under harder instructions that a program can verify, as in IFBench."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from nemo_gym import Reward, Session, Task, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.environments.instruction_tasks import writing_task
from nemo_gym.library.instruction_following.ifbench.kinds import KINDS
from nemo_gym.verifiers.instructions import Following, check_instructions
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask
from nemo_gym.wire.response import Response


class WritingRow(Task):
    """A prompt whose instructions a program can verify."""

    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any] | None]
    grading_mode: Literal["binary", "fraction"] = "fraction"
    id: str | int | None = None


class Ifbench(Environment):
    """Write a text that follows unusual instructions about its words, sentences and layout."""

    domain: ClassVar[str] = "instruction_following"
    stateless: ClassVar[bool | None] = True

    Task = WritingRow

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The difficulty of the generated tasks: an easy instruction, any, and 2 to 4 together."""
        loose: bool = False
        """Whether the loose verdict is the reward: an instruction also counts as followed without the first
        or the last line of the answer, or without its asterisks."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[WritingRow]:
        return generate_tasks(self, self.make, lambda task: task.prompt, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> WritingRow:
        """Draw a task."""
        task = writing_task(rng, self.config.level, KINDS, lambda following: following.fraction)
        return WritingRow(
            responses_create_params={**ask(task.prompt)},
            prompt=task.prompt,
            instruction_id_list=task.ids,
            kwargs=[*task.kwargs],
            verifier_metadata={"answer": task.answer},
        )

    def seed(self, task: WritingRow, session: Session) -> None:
        """Refuse a row with an instruction that is unknown or has unfit arguments.

        Raises:
            TaskUnfit: with the instruction and the reason.
        """
        try:
            check_instructions(task.instruction_id_list, task.kwargs)
        except ValueError as error:
            raise TaskUnfit(str(error)) from None

    @blocking
    def verify(self, task: WritingRow, response: Response, session: Session) -> Reward:
        text = strip_reasoning(response.final_text)
        checks = check_instructions(task.instruction_id_list, task.kwargs)
        strict, loose = checks.strict(text), checks.loose(text)
        details = {
            "follow_all_instructions": strict.all,
            "follow_instruction_list": [*strict.each],
            "follow_all_instructions_loose": loose.all,
            "follow_instruction_list_loose": [*loose.each],
            "reward_loose": self.reward(task, loose),
            "extracted_answer": text.strip()[:200] or None,
            "reason": "right" if strict.all else "wrong" if text.strip() else "no_answer",
        }
        return Reward(self.reward(task, loose if self.config.loose else strict), details=details)

    @staticmethod
    def reward(task: WritingRow, following: Following) -> float:
        """The part of the instructions that are followed, or whether all are."""
        return following.fraction if task.grading_mode == "fraction" else float(following.all)

    def oracle(self, task: WritingRow, session: Session) -> str | None:
        return task.verifier_metadata.get("answer")
