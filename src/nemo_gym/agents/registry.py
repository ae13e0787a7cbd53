"""Agents by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nemo_gym.agents import presets
from nemo_gym.agents.base import Agent
from nemo_gym.agents.command import Command
from nemo_gym.agents.refinement import Refinement
from nemo_gym.agents.remote_agent import RemoteAgent
from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.agents.simulated_tools import SimulatedTools
from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.agents.tool_loop import SingleCall, ToolLoop
from nemo_gym.agents.user_simulator import UserSimulator
from nemo_gym.wire.errors import UsageError, did_you_mean

AGENTS: Final[dict[str, Callable[..., Agent]]] = {
    "tool_loop": ToolLoop,
    "single_call": SingleCall,
    "step_loop": StepLoop,
    "remote_run": RemoteRun,
    "remote_agent": RemoteAgent,
    "user_simulator": UserSimulator,
    "refinement": Refinement,
    "simulated_tools": SimulatedTools,
    "command": Command,
    "mini_swe_agent": presets.mini_swe_agent,
    "claude_code": presets.claude_code,
    "codex": presets.codex,
    "opencode": presets.opencode,
}
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


def find_agent(name: str) -> Callable[..., Agent]:
    """What makes the agent of that name or alias: its class, or the function for a preset of one.

    Raises:
        UsageError: there is none, with the nearest name.
    """
    try:
        return AGENTS[ALIASES.get(name, name)]
    except KeyError:
        raise UsageError(f"no agent named {name!r}.{did_you_mean(name, {*AGENTS, *ALIASES})}") from None
