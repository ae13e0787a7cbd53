"""The presets against programs that take the flags and speak the protocols of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import Environment, Response, Rollout, Session, Task, ask, collect
from nemo_gym.agents import presets
from nemo_gym.agents.command import Command
from nemo_gym.agents.registry import find_agent
from nemo_gym.runs.component_specs import AgentSpec
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams
from tests.conftest import SUPPORT
from tests.support.token_model import TokenModel

PRESETS: dict[str, tuple[Callable[..., Command], str, str, str]] = {
    "mini_swe_agent": (presets.mini_swe_agent, "mini", "bash", "command"),
    "claude_code": (presets.claude_code, "claude", "Bash", "command"),
    "codex": (presets.codex, "codex", "exec_command", "cmd"),
    "opencode": (presets.opencode, "opencode", "bash", "command"),
}
DIALECTS = {"mini_swe_agent": "chat", "claude_code": "messages", "codex": "responses", "opencode": "chat"}


class Deed(Environment):
    """Write a word into a file."""

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        return [Task(responses_create_params={**ask("Write 'well' into deed.txt."), "temperature": 0.25})]

    def verify(self, task: Task, response: Response, session: Session) -> float:
        deed = Path(session.state["workdir"], "deed.txt")
        return float(deed.exists() and deed.read_text() == "well")


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """The fake under the name of a real program."""

    def make(name: str) -> str:
        path = tmp_path / name
        path.symlink_to(SUPPORT / "fake_cli.py")
        return str(path)

    return make


def worker(tool: str, argument: str) -> TokenModel:
    steps = ["ls -a; env", "printf well > deed.txt", "cat deed.txt"]

    def script(params: RequestParams) -> str | list[Item]:
        done = sum(item["type"] == "function_call_output" for item in params["input"])  # type: ignore[index]
        if done == len(steps):
            return "It is done."
        # Written as a model writes JSON, with spaces.
        arguments = json.dumps({argument: steps[done]})
        return [assistant(f"Step {done}."), function_call(tool, arguments, call_id=f"call_{done}")]

    return TokenModel(script)


async def play(agent: Command, model: TokenModel) -> dict[str, Any]:
    async with LoopbackModel(model) as served:
        (rollout,) = [rollout async for rollout in collect(Deed(), served, agent=agent)]
    assert rollout.failure is None, rollout.failure
    return rollout.to_row()


@pytest.mark.parametrize("name", PRESETS)
async def test_a_preset_finishes_its_task_with_every_call_and_its_tokens_in_the_row(
    name: str, program: Callable[[str], str]
) -> None:
    make, binary, tool, argument = PRESETS[name]
    model = worker(tool, argument)
    row = await play(make(program=program(binary)), model)
    assert row["reward"] == 1.0
    assert row["finished_naturally"]
    assert row["turns_used"] == 4
    calls = row["ng_model_call_capture"]["calls"]
    assert [call["dialect"] for call in calls] == [DIALECTS[name]] * 4
    assert all(asked["temperature"] == 0.25 for asked in model.asked)
    assert row["_ng_token_capture"]["calls_with_tokens"] == 4
    assert row["mask_sample"] is False


@pytest.mark.parametrize("name", PRESETS)
async def test_the_tokens_of_the_main_branch_are_contiguous(name: str, program: Callable[[str], str]) -> None:
    make, binary, tool, argument = PRESETS[name]
    row = await play(make(program=program(binary)), worker(tool, argument))
    seen: list[int] = []
    bearing = [item for item in row["response"]["output"] if item.get("generation_token_ids")]
    assert len(bearing) == 4
    for item in bearing:
        assert item["prompt_token_ids"][: len(seen)] == seen
        seen = item["prompt_token_ids"] + item["generation_token_ids"]


async def test_claude_code_out_of_turns_is_scored_for_what_it_did(program: Callable[[str], str]) -> None:
    agent = presets.claude_code(program=program("claude"), max_turns=2)
    row = await play(agent, worker("Bash", "command"))
    assert (row["reward"], row["finished_naturally"], row["turns_used"]) == (1.0, False, 2)


async def test_nothing_of_this_process_but_the_path_reaches_the_program(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    row = await play(presets.codex(program=program("codex")), worker("exec_command", "cmd"))
    text = json.dumps(row)
    assert "PATH=" in text
    assert "hf_secret" not in text
    assert "sk-secret" not in text


async def test_an_mcp_configuration_and_settings_are_handed_over_as_files(
    program: Callable[[str], str],
) -> None:
    agent = presets.claude_code(
        program=program("claude"),
        mcp_config='{"mcpServers": {"gym": {"url": "{mcp_url}"}}}',
        settings='{"permissions": {}}',
        allowed_tools=["Bash", "Read"],
    )
    assert "--mcp-config={home}/mcp-config.json" in agent.argv
    assert "--settings={home}/settings.json" in agent.argv
    assert "--tools=Bash,Read" in agent.argv
    assert set(agent.files) == {"mcp-config.json", "settings.json"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_missing_program_is_one_line_with_what_to_install(name: str) -> None:
    with pytest.raises(UsageError, match=r"no program 'no_such' on PATH: (pip|npm) install"):
        AgentSpec(name, {"program": "no_such"}).build()


@pytest.mark.parametrize("name", ["mini_swe_agent_2", "claude_code_agent", "codex_agent", "opencode_agent"])
def test_the_original_names_work(name: str) -> None:
    assert find_agent(name) is find_agent(name.removesuffix("_agent").removesuffix("_2"))


async def test_rollouts_side_by_side_keep_their_calls_apart(program: Callable[[str], str]) -> None:
    agent = presets.codex(program=program("codex"))
    rollouts: list[Rollout] = []
    async with LoopbackModel(worker("exec_command", "cmd")) as served:
        async for rollout in collect(Deed(), served, agent=agent, num_repeats=6, concurrency=6):
            rollouts.append(rollout)
    rows = [rollout.to_row() for rollout in rollouts]
    assert [row["reward"] for row in rows] == [1.0] * 6
    assert {row["ng_model_call_capture"]["rollout_id"] for row in rows} == {f"0-{n}" for n in range(6)}
    ids = [call["model_call_id"] for row in rows for call in row["ng_model_call_capture"]["calls"]]
    assert len(set(ids)) == 24
