"""The real coding agents mend a repository with a served model: scored by its tests, every call with tokens.

Not part of the default run, for it needs the programs on PATH: `pip install mini-swe-agent mcp` in an
environment of its own, and `npm install -g @anthropic-ai/claude-code @openai/codex opencode-ai`. Choose with
`-k`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from nemo_gym import collect
from nemo_gym.agents import presets
from nemo_gym.agents.command import Command
from nemo_gym.library.coding.example_repair.environment import Repair
from nemo_gym.library.coding.example_repair.problems import PROBLEMS
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.wire.items import Item, assistant, function_call, message_text
from nemo_gym.wire.params import RequestParams, input_items
from tests.support.token_model import TokenModel

AGENTS: dict[str, tuple[Callable[..., Command], str, str, str]] = {
    "mini": (presets.mini_swe_agent, "bash", "command", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"),
    "claude": (presets.claude_code, "Bash", "command", ""),
    "codex": (presets.codex, "exec_command", "cmd", ""),
    "opencode": (presets.opencode, "bash", "command", ""),
}


def repairer(tool: str, argument: str, last: str) -> TokenModel:
    """A model that looks, mends the module that its task names, tests, and ends as the agent wants it."""

    def script(params: RequestParams) -> str | list[Item]:
        items = input_items(params)
        said = " ".join(message_text(item) for item in items if item["type"] == "message")
        problem = next(problem for problem in PROBLEMS if f"{problem.name}.py" in said)
        steps = [
            "git log --oneline; python3 -m unittest 2>&1 | tail -3",
            f"cat > {problem.name}.py << 'THE END'\n{problem.source}THE END\n",
            "python3 -m unittest 2>&1 | tail -3",
            *([last] if last else []),
        ]
        done = sum(item["type"] == "function_call_output" for item in items)
        if done == len(steps):
            return "The tests pass."
        arguments = json.dumps({argument: steps[done], "description": "next"})
        return [assistant(f"Step {done}."), function_call(tool, arguments, call_id=f"call_{done}")]

    return TokenModel(script)


@pytest.mark.parametrize("sandbox", [None, "local"], ids=["here", "shut_in"])
@pytest.mark.parametrize("name", AGENTS)
async def test_a_real_agent_mends_repositories_and_every_call_has_its_tokens(
    name: str, sandbox: str | None
) -> None:
    make, tool, argument, last = AGENTS[name]
    async with LoopbackModel(repairer(tool, argument, last)) as served:
        rollouts = [
            rollout
            async for rollout in collect(
                Repair(), served, agent=make(sandbox=sandbox), limit=2, concurrency=2
            )
        ]
    assert [rollout.failure for rollout in rollouts] == [None, None]
    for row in (rollout.to_row() for rollout in rollouts):
        assert row["reward"] == 1.0
        assert row["turns_used"] == 4
        captured = row["_ng_token_capture"]
        assert captured["calls_with_tokens"] == captured["calls"] >= 4
        assert row["mask_sample"] is False
        seen: list[int] = []
        for item in row["response"]["output"]:
            if item.get("generation_token_ids"):
                assert item["prompt_token_ids"][: len(seen)] == seen
                seen = item["prompt_token_ids"] + item["generation_token_ids"]
