"""Scheduling in a conversation: the answer is the whole calendar, and every rule must hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import msgspec

from nemo_gym import Reward, Session, Task, blocking, generate_tasks
from nemo_gym.environments.base import Config, Environment
from nemo_gym.library.instruction_following.calendar.generation import conversation
from nemo_gym.verifiers.calendar import Event, ScheduleVerdict, check_schedule, read_events
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.response import Response


class CalendarTask(Task):
    """The state that the calendar must have."""

    exp_cal_state: dict[str, dict[str, Any]]


class Calendar(Environment):
    """Keep a schedule of events whose times, windows and constraints come up in a conversation."""

    domain: ClassVar[str] = "instruction_following"
    stateless: ClassVar[bool | None] = True

    Task = CalendarTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """The events of the generated tasks: 2 in one message at first, 6 with later constraints at last."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[CalendarTask]:
        return generate_tasks(self, self.make, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> CalendarTask:
        """Draw a task."""
        items, state, answer = conversation(rng, self.config.level)
        return CalendarTask(
            responses_create_params={"input": items},
            exp_cal_state=state,
            verifier_metadata={"answer": answer},
        )

    def seed(self, task: CalendarTask, session: Session) -> None:
        """Refuse a row whose state is not usable.

        Raises:
            TaskUnfit: with the reason.
        """
        _events(task)

    @blocking
    def verify(self, task: CalendarTask, response: Response, session: Session) -> Reward:
        text = response.final_text
        events = _events(task)
        verdict = (
            ScheduleVerdict("reasoning_in_answer") if "<think>" in text else check_schedule(text, events)
        )
        details = {"extracted_answer": verdict.answer, "reason": verdict.reason}
        return Reward(float(verdict.holds), details=details)

    def oracle(self, task: CalendarTask, session: Session) -> str | None:
        return task.verifier_metadata.get("answer")


def _events(task: CalendarTask) -> list[Event]:
    try:
        return read_events(task.exp_cal_state)
    except ValueError as error:
        raise TaskUnfit(f"exp_cal_state: {error}") from None
