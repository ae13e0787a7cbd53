"""Simulated tools: a second model answers the tool calls, so tools need only a description."""

from __future__ import annotations

from nemo_gym.agents.side_model import SideModel, ask_side_model, open_side_model
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import no_such_tool
from nemo_gym.wire.items import FunctionCall, Item, system, user
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.keys import PARAMS
from nemo_gym.wire.params import FunctionTool


class SimulatedTools(ToolLoop):
    """A tool loop that runs no tool. A second model gets the tool's schema and the calls so far, and invents
    the output. The environment only seeds and verifies.

    Args:
        simulator: the model that plays the tools.
        output_tokens: the most tokens of one output.
        max_steps: the most model calls.
        tool_timeout: the most seconds of one simulated call.
        turn_timeout: the most seconds of one model call with its retries.
    """

    def __init__(
        self,
        *,
        simulator: SideModel,
        output_tokens: int = 1024,
        max_steps: int = 32,
        tool_timeout: float = 60.0,
        turn_timeout: float | None = None,
    ) -> None:
        super().__init__(max_steps=max_steps, tool_timeout=tool_timeout, turn_timeout=turn_timeout)
        self.simulator = open_side_model(simulator)
        self.output_tokens = output_tokens

    async def aclose(self) -> None:
        await self.simulator.aclose()

    async def call_tool(self, session: Session, environment: EnvironmentLink, call: FunctionCall) -> str:
        schemas: list[FunctionTool] = session.row[PARAMS].get("tools") or session.tools
        tools = {schema.get("name", ""): schema for schema in schemas}
        tool = tools.get(call["name"])
        if tool is None:
            return no_such_tool(call["name"], tools)
        earlier: list[dict[str, str]] = session.state.setdefault(_EARLIER, [])
        facts = {"tool": tool, "earlier_calls": earlier, "call": {"arguments": call["arguments"]}}
        items: list[Item] = [system(_ROLE), user(encode(facts).decode())]
        output = await ask_side_model(self.simulator, {"input": items}, self.output_tokens)
        earlier.append({"name": call["name"], "arguments": call["arguments"], "output": output})
        return output


_EARLIER = "simulated_calls"
_ROLE = """You stand in for a tool. You are given its schema, the calls made before with their outputs, and \
one new call. Answer with exactly what the tool would return and nothing else, as JSON if it would return \
JSON. Stay consistent with the earlier outputs. For arguments that break the schema return an error."""
