"""Agents by name."""

from __future__ import annotations

import pytest

from nemo_gym.agents.registry import AGENTS, ALIASES, find_agent
from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.agents.tool_loop import SingleCall, ToolLoop
from nemo_gym.wire.errors import UsageError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tool_loop", ToolLoop),
        ("single_call", SingleCall),
        ("step_loop", StepLoop),
        ("simple_agent", ToolLoop),
        ("non_executing_simple_agent", SingleCall),
        ("gymnasium_agent", StepLoop),
    ],
)
def test_an_agent_is_found_by_its_name_and_by_the_one_it_had_before(name: str, kind: type) -> None:
    assert find_agent(name) is kind


def test_every_alias_is_of_an_agent_there_is() -> None:
    assert set(ALIASES.values()) <= set(AGENTS)
    assert not set(ALIASES) & set(AGENTS)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"^no agent named 'tool_lop'\. Did you mean 'tool_loop'\?$"):
        find_agent("tool_lop")


def test_a_name_like_no_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(UsageError, match=r"Known: .*simple_agent.*tool_loop"):
        find_agent("xyz")
