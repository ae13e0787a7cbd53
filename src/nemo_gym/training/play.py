"""A rollout whose answers come from outside: a trainer samples them, and the environment runs the tools."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.agents.trajectory import Trajectory
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool_error
from nemo_gym.runs.collect import Collector
from nemo_gym.wire.chat import params_from_chat
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.exception_text import message_of
from nemo_gym.wire.history import arguments_text
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row

FAILED: Final = tool_error("This rollout has failed.")
"""The output of every tool of a rollout that has failed."""


class Play:
    """One rollout, from its seed on. It lives in the event loop of its collector.

    Args:
        collector: runs it, with the collector's environment, time limits and reward terms.
    """

    def __init__(self, collector: Collector, row: Row) -> None:
        usual = collector.agent
        self._agent = _Outside(usual.tool_timeout if isinstance(usual, ToolLoop) else 60.0)
        self._calls = 0
        self.rollout = asyncio.ensure_future(collector.attempt(row, self._agent))
        """The rollout, once it has ended. It ends early when it fails."""

    async def tools(self) -> list[FunctionTool] | None:
        """The tools that the model may call; None where the rollout has failed."""
        await self._agent.seeded_or(self.rollout)
        return None if self.rollout.done() else self._agent.tools

    async def call(self, name: str, arguments: Any) -> str:
        """The output of a tool, a text also when the tool or the rollout has failed.

        A failure of the environment's server or of a judge fails the rollout: it gets no reward.
        """
        agent = self._agent
        await agent.seeded_or(self.rollout)
        if self.rollout.done():
            return FAILED
        self._calls += 1
        item = function_call(name, arguments_text(arguments), call_id=f"call_{self._calls}")
        work = asyncio.ensure_future(agent.run_tool(item))
        try:
            await asyncio.wait((work, self.rollout), return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else FAILED
        except Exception as error:
            agent.fail(error)
            return tool_error(message_of(error))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def finish(self, messages: Sequence[Mapping[str, Any]]) -> Rollout:
        """Have the answers verified, and end the rollout.

        Args:
            messages: assistant and tool messages of Chat Completions, with or without the ids of calls.
        """
        try:
            self._agent.answer(_items(messages))
        except UsageError as error:  # there is no item for such a message
            self._agent.fail(error)
        return await self.rollout

    async def aclose(self) -> None:
        """End the rollout, scored or not, and close its session."""
        self.rollout.cancel()
        await asyncio.gather(self.rollout, return_exceptions=True)


class _Outside(ToolLoop):
    """The agent of a `Play`."""

    def __init__(self, tool_timeout: float) -> None:
        super().__init__(tool_timeout=tool_timeout)
        loop = asyncio.get_running_loop()
        self._seeded: asyncio.Future[tuple[Session, EnvironmentLink]] = loop.create_future()
        self._answer: asyncio.Future[list[Item]] = loop.create_future()
        self.tools: list[FunctionTool] = []

    async def act(self, trajectory: Trajectory, session: Session, environment: EnvironmentLink) -> str:
        self.tools = trajectory.params.get("tools") or []
        self._seeded.set_result((session, environment))
        trajectory.items.extend(await self._answer)
        return "completed"

    async def seeded_or(self, rollout: asyncio.Future[Rollout]) -> None:
        await asyncio.wait((self._seeded, rollout), return_when=asyncio.FIRST_COMPLETED)

    async def run_tool(self, call: Any) -> str:
        return await self._run_tool(*self._seeded.result(), call)

    def answer(self, items: list[Item]) -> None:
        if not self._answer.done():
            self._answer.set_result(items)

    def fail(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


def _items(messages: Sequence[Mapping[str, Any]]) -> list[Item]:
    """The items of messages. Calls without ids get them, and outputs come in the order of their calls."""
    chat: list[dict[str, Any]] = []
    waiting: deque[str] = deque()
    number = 0
    for message in messages:
        chat.append(dict(message))
        if calls := objects_of(message.get("tool_calls")):
            waiting.clear()
            chat[-1]["tool_calls"] = named = list[dict[str, Any]]()
            for call in calls:
                number += 1
                function = object_of(call.get("function"))
                arguments = arguments_text(function.get("arguments"))
                waiting.append(str(call.get("id") or f"call_{number}"))
                fields = {"name": str(function.get("name", "")), "arguments": arguments}
                named.append({"id": waiting[-1], "type": "function", "function": fields})
        elif message.get("role") == "tool" and waiting:
            chat[-1]["tool_call_id"] = waiting.popleft()
    return cast("list[Item]", params_from_chat({"messages": chat}).get("input"))
