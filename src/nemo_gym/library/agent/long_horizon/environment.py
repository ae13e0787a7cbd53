"""An office week: each day brings new requests, and each day's state in the evening earns its part."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask, generate_tasks
from nemo_gym.environments.tool import bind_tools, is_tool_error, no_such_tool
from nemo_gym.library.agent.long_horizon.tools import OfficeTools
from nemo_gym.library.agent.long_horizon.week import Day, draw_week
from nemo_gym.library.agent.long_horizon.world import (
    DAYS,
    NEW_TABLES,
    TABLES,
    WORLDS,
    World,
    content,
    copy_of,
    new_world,
)
from nemo_gym.verifiers.end_state import differences
from nemo_gym.verifiers.text import last_nonempty_line, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import FunctionCall, Item, function_call

INTRODUCTION: Final = """\
You are the assistant of an office, with tools for its people, meetings, tickets, customers and mail. The \
week has several days. Do everything that a day asks for, and nothing else; then write a short final answer, \
which ends the day. The next message brings the next day. Remember what earlier days tell you.

"""
MAX_CALLS: Final = 64
"""The most calls of one answer that are carried out."""


class WeekTask(Task):
    """A week in one of the offices."""

    world: Annotated[int, msgspec.Meta(ge=0, lt=WORLDS)]
    days: Annotated[list[Day], msgspec.Meta(min_length=1, max_length=len(DAYS))]


class LongHorizon(OfficeTools, StepEnvironment):
    """Do the office work of a week with more than 60 tool calls; each day counts for itself."""

    domain = "agent"
    restorable = True
    stateless = False
    max_steps = 300
    Task = WeekTask

    class Config(StepEnvironment.Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """0 gives ids and begins with a short day; from 1 on ids must be looked up and questions answered;
        from 2 on the leads of projects change; 3 and 4 have more to do and to remember."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.bound_tools = bind_tools(self)
        """The tools by name, for the right calls too."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[WeekTask]:
        return generate_tasks(self, self.draw, _key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> WeekTask:
        """A week of the level of the settings."""
        number = rng.randrange(WORLDS)
        days = draw_week(rng, number, self.config.level)
        params = dict(ask(INTRODUCTION + days[0].request))
        params["tools"] = [bound.schema for bound in self.bound_tools.values()]  # also behind a URL
        return WeekTask(responses_create_params=params, world=number, days=days)

    async def reset(self, task: WeekTask, session: Session) -> None:
        """Open the office.

        Raises:
            TaskUnfit: a call of the row does not work, or a day has nothing to do.
        """
        state = session.state
        state["world"] = state["morning"] = new_world(task.world)
        for number, day in enumerate(task.days):
            morning = state["world"]
            evening = await self.evening(day, morning)
            if evening is None or all(evening[table] == morning[table] for table in TABLES):
                raise TaskUnfit(f"days[{number}]: its calls don't work or change nothing")
            state["world"] = evening
        state["world"] = copy_of(state["morning"])
        state["day"] = 0
        state["components"] = dict.fromkeys(DAYS[: len(task.days)], 0.0)
        state["reasons"] = {}

    async def step(self, action: Response, session: Session) -> Step:
        calls = action.function_calls
        if calls:
            outputs = [
                {"call_id": call["call_id"], "output": await self.run(call, session, number)}
                for number, call in enumerate(calls)
            ]
            return Step(info={"tool_outputs": outputs})
        return await self.end_day(strip_reasoning(action.final_text), session)

    async def run(self, call: FunctionCall, session: Session, number: int) -> str:
        """The output of a call."""
        if number >= MAX_CALLS:
            return f"Error: only the first {MAX_CALLS} calls of an answer are carried out."
        bound = self.bound_tools.get(call["name"])
        if bound is None:
            return no_such_tool(call["name"], self.bound_tools)
        return await bound.call(session, call["arguments"])

    async def end_day(self, text: str, session: Session) -> Step:
        """Score the day and bring the next one."""
        task, state = session.task, session.state
        assert isinstance(task, WeekTask)
        number: int = state["day"]
        day = task.days[number]
        reason = await self.problem(day, text, session)
        reward = 0.0 if reason else 1.0 / len(task.days)
        state["components"][DAYS[number]] = reward
        state["reasons"][DAYS[number]] = reason or "right"
        state["day"] = number + 1
        state["morning"] = copy_of(state["world"])
        info: dict[str, Any] = {
            "components": dict(state["components"]),
            "reasons": dict(state["reasons"]),
            "extracted_answer": last_nonempty_line(text)[:200] or None,
            "tool_outputs": [],
        }
        if state["day"] == len(task.days):
            return Step(reward=reward, terminated=True, info=info)
        return Step(task.days[number + 1].request, reward, info=info)

    async def problem(self, day: Day, text: str, session: Session) -> str:
        """What is wrong with a day; empty when it is right."""
        morning: World = session.state["morning"]
        evening = await self.evening(day, morning)
        if evening is None or wrong_places(evening, session.state["world"], morning):
            return "wrong_state"
        if day.answer is not None and last_nonempty_line(text).strip(" *`.").lower() != day.answer.lower():
            return "wrong_answer"
        return ""

    async def evening(self, day: Day, morning: World) -> World | None:
        """The office after the right calls; None if one of them does not work, as when its record is gone."""
        session = Session({}, Task(), id="right", seed=0, tools=[])
        session.state["world"] = copy_of(morning)
        for call in day.calls:
            bound = self.bound_tools.get(call.name)
            if bound is None or is_tool_error(await bound.call(session, call.arguments)):
                return None
        return session.state["world"]

    def oracle(self, task: WeekTask, session: Session) -> str | list[Item]:
        """The day's calls one after the other, and then its answer."""
        state = session.state
        day: int = state["day"]
        turns: dict[int, int] = state.setdefault("oracle_turns", {})
        turn = turns.get(day, 0)
        turns[day] = turn + 1
        if turn < len(task.days[day].calls):
            call = task.days[day].calls[turn]
            return [function_call(call.name, call.arguments, call_id=f"call_{day}_{turn}")]
        return task.days[day].answer or "That is done."


def wrong_places(expected: World, actual: World, before: World) -> list[str]:
    """Where two evenings after the same morning differ; the order of new records does not count."""
    return differences(content(expected, before), content(actual, before), unordered=NEW_TABLES)


def _key(task: WeekTask) -> str:
    return f"{task.world}: {task.days[0].request} {task.days[-1].request}"
