"""Agents by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

from nemo_gym.agents.base import Agent
from nemo_gym.wire.errors import UsageError, did_you_mean

AGENTS: Final = {
    "tool_loop": "tool_loop:ToolLoop",
    "single_call": "tool_loop:SingleCall",
    "step_loop": "step_loop:StepLoop",
    "remote_run": "remote_run:RemoteRun",
    "remote_agent": "remote_agent:RemoteAgent",
    "user_simulator": "user_simulator:UserSimulator",
    "refinement": "refinement:Refinement",
    "simulated_tools": "simulated_tools:SimulatedTools",
    "recorded": "recorded_trajectories:RecordedTrajectories",
    "command": "command:Command",
    "mini_swe_agent": "presets:mini_swe_agent",
    "claude_code": "presets:claude_code",
    "codex": "presets:codex",
    "opencode": "presets:opencode",
}
"""The place of each agent, `module:name` in this package. A module is loaded when an agent of it is used."""
ALIASES: Final = {
    "simple_agent": "tool_loop",
    "non_executing_simple_agent": "single_call",
    "tool_simulation_agent": "single_call",
    "proof_refinement_agent": "refinement",
    "gymnasium_agent": "step_loop",
    "mini_swe_agent_2": "mini_swe_agent",
    "claude_code_agent": "claude_code",
    "codex_agent": "codex",
    "opencode_agent": "opencode",
}
"""Names of the original package."""


def unknown_agent(name: str) -> str:
    """The message about a name that no agent has."""
    return f"no agent named {name!r}.{did_you_mean(name, {*AGENTS, *ALIASES})}"


def find_agent(name: str) -> Callable[..., Agent]:
    """The class of the agent with a name or alias, or the function that builds a preset.

    Raises:
        UsageError: there is no such agent; the message has the nearest name.
    """
    place = AGENTS.get(ALIASES.get(name, name))
    if place is None:
        raise UsageError(unknown_agent(name)).about("agent")
    module, _, maker = place.partition(":")
    return cast("Callable[..., Agent]", getattr(import_module(f"{__package__}.{module}"), maker))
