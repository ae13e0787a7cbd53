"""The tool loop: it asks the model and runs the tools that it calls, until an answer calls no tool."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any

from nemo_gym.agents.base import Agent
from nemo_gym.agents.trajectory import Trajectory, outcome_of
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool_error
from nemo_gym.models.base import Model
from nemo_gym.wire.history import is_empty
from nemo_gym.wire.items import FunctionCall, Item, function_call_output
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout, keep_partial
from nemo_gym.wire.task import Row


class SingleCall(Agent):
    """One model call and no tools run: what the model says first is what is scored.

    Args:
        turn_timeout: seconds one model call may take, retries included; None leaves it to the model.
    """

    def __init__(self, *, turn_timeout: float | None = None) -> None:
        self.turn_timeout = turn_timeout

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        async with environment.session(row) as session:
            trajectory = Trajectory(row, session, model.for_session(session), turn_timeout=self.turn_timeout)
            try:
                response, reward, outcome = await self.play(trajectory, session, environment)
            except BaseException as error:
                keep_partial(error, trajectory.response(), session.columns, row=trajectory.row)
                raise
        return trajectory.rollout(response, reward, outcome)

    async def play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Response, Reward, str]:
        """Let the model act and have the result scored: the trajectory, its reward, the outcome."""
        outcome = await self.act(trajectory, session, environment)
        response = trajectory.response()
        began = monotonic()
        reward = await environment.verify(session, response)
        trajectory.timing["verify_s"] = trajectory.timing.get("verify_s", 0.0) + monotonic() - began
        return response, reward, outcome

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        """Let the model act until it is done; the rollout's outcome."""
        return outcome_of(await trajectory.ask())


class ToolLoop(SingleCall):
    """The default agent. Several calls in one answer run side by side, unless the request forbids it.

    Args:
        max_steps: model calls at most; the tools of the last one still run.
        tool_timeout: seconds one tool call may take before the model gets an error as its output.
        turn_timeout: seconds one model call may take, retries included; None leaves it to the model.
    """

    def __init__(
        self, *, max_steps: int = 32, tool_timeout: float = 60.0, turn_timeout: float | None = None
    ) -> None:
        super().__init__(turn_timeout=turn_timeout)
        self.max_steps = max_steps
        self.tool_timeout = tool_timeout

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        for _ in range(self.max_steps):
            answer = await trajectory.ask()
            if answer.incomplete_reason:
                return outcome_of(answer)
            calls = answer.open_calls
            if calls:
                trajectory.items.extend(await self._run_tools(trajectory, session, environment, calls))
            elif answer.messages:
                return "completed"
        return "max_steps"

    async def _run_tools(
        self,
        trajectory: Trajectory,
        session: Session,
        environment: EnvironmentLink,
        calls: list[FunctionCall],
    ) -> list[Item]:
        began = monotonic()
        if len(calls) == 1 or trajectory.params.get("parallel_tool_calls") is False:
            outputs = [await self._run_tool(session, environment, call) for call in calls]
        else:
            outputs = await _side_by_side([self._run_tool(session, environment, call) for call in calls])
        trajectory.timing["tool_s"] = trajectory.timing.get("tool_s", 0.0) + monotonic() - began
        return [function_call_output(call["call_id"], out) for call, out in zip(calls, outputs, strict=True)]

    async def _run_tool(self, session: Session, environment: EnvironmentLink, call: FunctionCall) -> str:
        if is_empty(call["arguments"]):
            call = {**call, "arguments": "{}"}
        try:
            async with asyncio.timeout(self.tool_timeout):
                return await self.call_tool(session, environment, call)
        except TimeoutError:
            return tool_error(f"{call['name']} did not finish within {self.tool_timeout:g} seconds")

    async def call_tool(self, session: Session, environment: EnvironmentLink, call: FunctionCall) -> str:
        """The item with the output of one tool call."""
        return await environment.call(session, call)


async def _side_by_side(work: list[Coroutine[Any, Any, str]]) -> list[str]:
    """The results of all calls. When one raises, the others are cancelled and awaited first."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
