"""Agents by name."""

from __future__ import annotations

from typing import Final

from nemo_gym.agents.base import Agent
from nemo_gym.agents.refinement import Refinement
from nemo_gym.agents.remote_agent import RemoteAgent
from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.agents.simulated_tools import SimulatedTools
from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.agents.tool_loop import SingleCall, ToolLoop
from nemo_gym.agents.user_simulator import UserSimulator
from nemo_gym.wire.errors import UsageError, did_you_mean

AGENTS: Final[dict[str, type[Agent]]] = {
    "tool_loop": ToolLoop,
    "single_call": SingleCall,
    "step_loop": StepLoop,
    "remote_run": RemoteRun,
    "remote_agent": RemoteAgent,
    "user_simulator": UserSimulator,
    "refinement": Refinement,
    "simulated_tools": SimulatedTools,
}
ALIASES: Final = {
    "simple_agent": "tool_loop",
    "non_executing_simple_agent": "single_call",
    "tool_simulation_agent": "single_call",
    "proof_refinement_agent": "refinement",
    "gymnasium_agent": "step_loop",
}
"""Names of the original package."""


def find_agent(name: str) -> type[Agent]:
    """The agent class of that name or alias.

    Raises:
        UsageError: there is none, with the nearest name.
    """
    try:
        return AGENTS[ALIASES.get(name, name)]
    except KeyError:
        raise UsageError(f"no agent named {name!r}.{did_you_mean(name, {*AGENTS, *ALIASES})}") from None
