"""The tool loop: it asks the model and runs the tools that the model calls, until an answer calls no tool."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import Any

from nemo_gym.agents.trajectory import LoopAgent, Trajectory, outcome_of
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool_error
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire.history import is_empty
from nemo_gym.wire.items import FunctionCall, Item, function_call_output
from nemo_gym.wire.rollout import Reward


class SingleCall(LoopAgent):
    """Asks the model once and runs no tool; its answer is scored.

    Args:
        turn_timeout: the most seconds of one model call with its retries; None leaves it to the model.
    """

    async def play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Reward, str]:
        outcome = await self.act(trajectory, session, environment)
        began = monotonic()
        reward = await environment.verify(session, trajectory.response())
        trajectory.timing["verify_s"] = trajectory.timing.get("verify_s", 0.0) + monotonic() - began
        return reward, outcome

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        """Let the model act until its answer can be scored; returns the outcome."""
        return outcome_of(await trajectory.ask())


class ToolLoop(SingleCall):
    """The default agent. Several tool calls in one answer run at once, unless the request forbids it.

    Args:
        max_steps: the most model calls; the tools of the last answer still run.
        tool_timeout: the most seconds of one tool call; after that the model gets an error as its output.
        turn_timeout: the most seconds of one model call with its retries; None leaves it to the model.
    """

    keeps_turns = True

    def __init__(
        self, *, max_steps: int = 32, tool_timeout: float = 60.0, turn_timeout: float | None = None
    ) -> None:
        super().__init__(turn_timeout=turn_timeout)
        self.max_steps = max_steps
        self.tool_timeout = tool_timeout
        self._tool_limit = TimeLimit(tool_timeout)

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        for _ in range(self.max_steps):
            answer = await trajectory.ask()
            if answer.incomplete_reason:
                return outcome_of(answer)
            calls = answer.open_calls
            run = partial(self._run_tools, trajectory, session, environment, calls)
            trajectory.items.extend(await trajectory.environment_turn(run))
            if answer.messages and not calls:
                return "completed"
        return "max_steps"

    async def _run_tools(
        self,
        trajectory: Trajectory,
        session: Session,
        environment: EnvironmentLink,
        calls: list[FunctionCall],
    ) -> list[Item]:
        if not calls:
            return []
        began = monotonic()
        if len(calls) == 1 or trajectory.params.get("parallel_tool_calls") is False:
            outputs = [await self._run_tool(session, environment, call) for call in calls]
        else:
            outputs = await _at_once([self._run_tool(session, environment, call) for call in calls])
        trajectory.timing["tool_s"] = trajectory.timing.get("tool_s", 0.0) + monotonic() - began
        return [function_call_output(call["call_id"], out) for call, out in zip(calls, outputs, strict=True)]

    async def _run_tool(self, session: Session, environment: EnvironmentLink, call: FunctionCall) -> str:
        if is_empty(call["arguments"]):
            call = {**call, "arguments": "{}"}
        timeout = self._tool_limit.start()
        try:
            async with timeout:
                return await self.call_tool(session, environment, call)
        except TimeoutError:
            return tool_error(f"{call['name']} did not finish within {self._tool_limit.seconds:g} seconds")
        finally:
            self._tool_limit.end(timeout)

    async def call_tool(self, session: Session, environment: EnvironmentLink, call: FunctionCall) -> str:
        """The output of one tool call."""
        return await environment.call(session, call)


async def _at_once(calls: list[Coroutine[Any, Any, str]]) -> list[str]:
    """The results of all calls. When one raises, the others are cancelled, and then this raises."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
