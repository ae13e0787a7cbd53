"""The tool loop: ask the model, run the tools it calls, and again until it answers."""

from __future__ import annotations

import asyncio
from time import monotonic, time

from nemo_gym.agents.base import Agent
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool_error
from nemo_gym.models.base import Model
from nemo_gym.wire import keys
from nemo_gym.wire.errors import ModelTimeout, RolloutError
from nemo_gym.wire.items import FunctionCall, Item, function_call_output
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response, Usage, add_usage
from nemo_gym.wire.rollout import Rollout, Timing
from nemo_gym.wire.task import Row


class ToolLoop(Agent):
    """The default agent. Several calls in one answer run side by side, unless the request forbids it.

    Args:
        max_steps: model calls at most; the tools of the last one still run (CONTRACT 2.4).
        tool_timeout: seconds one tool call may take before the model is told so.
        turn_timeout: seconds one model call may take, retries included; None leaves it to the model.
    """

    def __init__(
        self, *, max_steps: int = 32, tool_timeout: float = 60.0, turn_timeout: float | None = None
    ) -> None:
        self.max_steps = max_steps
        self.tool_timeout = tool_timeout
        self.turn_timeout = turn_timeout

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        timing: Timing = {"started_at": time(), "model_s": 0.0, "tool_s": 0.0, "model_calls": 0}
        async with environment.session(row) as session:
            response, outcome = await self._act(row, session, environment, model.for_session(session), timing)
            began = monotonic()
            try:
                reward = await environment.verify(session, response)
            except RolloutError as error:
                error.partial = response
                raise
            timing["verify_s"] = monotonic() - began
        return Rollout.scored(row, response, reward, outcome=outcome, timing=timing)

    async def _act(
        self, row: Row, session: Session, environment: EnvironmentLink, model: Model, timing: Timing
    ) -> tuple[Response, str]:
        params = opening_request(row, session)
        given = input_items(params)
        made: list[Item] = []
        usage: Usage | None = None
        response = Response.of(made)
        try:
            for _ in range(self.max_steps):
                response = await ask_model(
                    model, {**params, "input": given + made}, timing, self.turn_timeout
                )
                made.extend(response.output)
                usage = add_usage(usage, response.usage)
                if response.incomplete_reason:
                    return _trajectory(response, made, usage), outcome_of(response)
                calls = response.function_calls
                if calls:
                    parallel = params.get("parallel_tool_calls", True)
                    made.extend(await self._run_tools(session, environment, calls, parallel, timing))
                elif response.messages:
                    return _trajectory(response, made, usage), "completed"
        except RolloutError as error:
            error.partial = _trajectory(response, made, usage)
            raise
        return _trajectory(response, made, usage), "max_steps"

    async def _run_tools(
        self,
        session: Session,
        environment: EnvironmentLink,
        calls: list[FunctionCall],
        parallel: bool | None,
        timing: Timing,
    ) -> list[Item]:
        began = monotonic()
        if parallel is False or len(calls) == 1:
            outputs = [await self._run_tool(session, environment, call) for call in calls]
        else:
            outputs = await asyncio.gather(*(self._run_tool(session, environment, call) for call in calls))
        timing["tool_s"] = timing.get("tool_s", 0.0) + monotonic() - began
        return [function_call_output(call["call_id"], out) for call, out in zip(calls, outputs, strict=True)]

    async def _run_tool(self, session: Session, environment: EnvironmentLink, call: FunctionCall) -> str:
        try:
            async with asyncio.timeout(self.tool_timeout):
                return await environment.call(session, call)
        except TimeoutError:
            return tool_error(f"{call['name']} did not finish within {self.tool_timeout:g} seconds")


class SingleCall(ToolLoop):
    """One model call and no tools run: what the model says first is what is scored."""

    def __init__(self, *, turn_timeout: float | None = None) -> None:
        super().__init__(max_steps=1, turn_timeout=turn_timeout)

    async def _run_tools(
        self,
        session: Session,
        environment: EnvironmentLink,
        calls: list[FunctionCall],
        parallel: bool | None,
        timing: Timing,
    ) -> list[Item]:
        return []


def opening_request(row: Row, session: Session) -> RequestParams:
    """The row's request, with the environment's tools when the row names none."""
    params: RequestParams = row[keys.PARAMS]
    if session.tools and "tools" not in params:
        params = {**params, "tools": session.tools}
    return params


async def ask_model(
    model: Model, params: RequestParams, timing: Timing, turn_timeout: float | None
) -> Response:
    """One model call, its time added to `timing`.

    Raises:
        ModelError: the model failed, or took longer than `turn_timeout` seconds.
    """
    began = monotonic()
    try:
        if turn_timeout is None:
            return await model.responses(params)
        async with asyncio.timeout(turn_timeout):
            return await model.responses(params)
    except TimeoutError:
        late = "in time" if turn_timeout is None else f"within the turn's {turn_timeout:g} seconds"
        raise ModelTimeout(f"no answer {late}") from None
    finally:
        timing["model_s"] = timing.get("model_s", 0.0) + monotonic() - began
        timing["model_calls"] = timing.get("model_calls", 0) + 1


def outcome_of(response: Response) -> str:
    """Why an incomplete response stopped: context_overflow, or the endpoint's own reason."""
    details: dict[str, str] = response.data.get("incomplete_details") or {}
    return details.get("detail") or details.get("reason") or "completed"


def _trajectory(last: Response, made: list[Item], usage: Usage | None) -> Response:
    return Response({**last.data, "output": made, "usage": usage})
