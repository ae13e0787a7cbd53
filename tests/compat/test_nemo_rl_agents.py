"""Every kind of agent under NeMo RL: its rollouts pass the trainer's post-processing, or are masked with a
reason."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.agents.registry import AGENTS
from nemo_gym.environments.environment_info import library
from nemo_gym.runs.result import Result
from nemo_gym.training import sequences
from tests.compat.test_existing_agent import LOOP
from tests.compat.trainer import Actor, free_port
from tests.conftest import SUPPORT
from tests.support.black_box import APP
from tests.support.nemo_rl import post_process, reward_columns
from tests.support.trajectories import chain, scored

ENVIRONMENTS = """
from nemo_gym import Environment, Reward, StepEnvironment, Step, tool


class Errand(Environment):
    '''Half a point for the first attempt, a whole one for the second.'''

    @tool
    async def note(self, command: str) -> str:
        '''Write something down.'''
        return f"noted {command}"

    def verify(self, task, response, session):
        session.state["attempts"] = session.state.get("attempts", 0) + 1
        parts = {"tried": 0.5, "again": 0.5 * (session.state["attempts"] > 1)}
        return Reward(sum(parts.values()), components=parts, details={"feedback": "say it again"})


class Walk(StepEnvironment):
    '''Three steps.'''

    def reset(self, task, session):
        session.state["steps"] = 0
        return "say step 0"

    def step(self, action, session):
        session.state["steps"] += 1
        steps = session.state["steps"]
        return Step(f"say step {steps}", reward=0.25, terminated=steps == 3)
"""
SHELLS = {"mini_swe_agent": "mini", "claude_code": "claude", "codex": "codex", "opencode": "opencode"}
CLIENT = """
import json, os, urllib.request

history = [{"role": "user", "content": "say the first value"}]
for number in range(3):
    body = json.dumps({"model": "m", "messages": history}).encode()
    headers = {"authorization": "Bearer " + os.environ["KEY"], "content-type": "application/json"}
    request = urllib.request.Request(os.environ["BASE"] + "/chat/completions", body, headers)
    message = json.load(urllib.request.urlopen(request))["choices"][0]["message"]
    history.append({"role": "assistant", "content": message["content"]})
    history.append({"role": "user", "content": "say the next value"})
"""
PROGRAM = {
    "argv": ["python3", "-I", "-c", CLIENT],
    "env": {"BASE": "{openai_base_url}", "KEY": "{api_key}"},
}
FORGETFUL = CLIENT.replace("    history.append", "    history[0]['content'] += '!'; history.append", 1)
"""A program that writes its last question anew before it goes on: each call begins a conversation."""
MULTI_STEP = "resources_servers/example_multi_step/configs/example_multi_step.yaml"
CALLING = "call 2 times"
TASKS = {
    "single_call": "say yes",
    "step_loop": "say something",
    "user_simulator": "say say say say say hi",
}
IN_BAND = "\n".join(line for line in LOOP.splitlines() if not re.search(r"a\.yaml|PARENT_DIR", line))
"""An existing agent that replays the model's items with their tokens."""
SYNONYMS = ("black_box", "in_band", "black_box_without_capture", "retokenised_tool_loop")
"""The agents that play `example_multi_step`."""
CALLS = {
    "tool_loop": 3, "single_call": 1, "step_loop": 3, "remote_run": 3, "remote_agent": 3, "refinement": 4,
    "user_simulator": 3, "simulated_tools": 3, "recorded": 2, "command": 3, "sandboxed": 3,
    "mini_swe_agent": 3, "claude_code": 3, "codex": 3, "opencode": 3, "black_box": 5, "in_band": 5,
    "forgetful_command": 1,
}  # fmt: skip
"""How many model calls of each agent a trainer gets."""
UNTRAINABLE = {
    "remote_agent_without_tokens": "no_tokens",
    "black_box_without_capture": "no_tokens",
    "retokenised_command": "tokens_not_contiguous",
    "retokenised_tool_loop": "tokens_not_contiguous",
}
"""Agents whose rollouts can't be trained on, and the reason that a trainer gets."""
KINDS = [*CALLS, *UNTRAINABLE]


def agents(folder: Path, ports: dict[str, int], retokenising: str) -> dict[str, Any]:
    """An instance of every kind of agent, and what they need."""
    places = folder / "environments.py"
    places.write_text(ENVIRONMENTS)
    recorded = folder / "recorded.jsonl"
    recorded.write_bytes(Result.of(scored(chain([([1, 2], [3]), ([4], [5, 6])]), 0.5)).line)
    for name, program in (("black_box", APP), ("in_band", IN_BAND)):
        program_folder = folder / "responses_api_agents" / name
        program_folder.mkdir(parents=True)
        (program_folder / "app.py").write_text(program)
    for program in SHELLS.values():
        (folder / program).symlink_to(SUPPORT / "fake_cli.py")
    own = {"entrypoint": f"{places}:Errand", "domain": "other"}
    walk = {"entrypoint": f"{places}:Walk", "domain": "other"}
    plain = {
        "entrypoint": "app.py",
        "base_url": "${policy_base_url}",
        "api_key": "k",
        "model": "policy",
        "return_token_id_information": False,
    }
    second = {"type": "responses_api_models", "name": "plain_model"}
    multi = "example_multi_step"
    settings: dict[str, dict[str, Any]] = {
        "tool_loop": {"port": ports["tool_loop"]},
        "single_call": {},
        "step_loop": {"environment": "walk"},
        "remote_run": {"url": f"http://127.0.0.1:{ports['tool_loop']}"},
        "remote_agent": {"agent_base_url": f"http://127.0.0.1:{ports['policy']}"},
        "refinement": {},
        "user_simulator": {"user": second, "max_turns": 3},
        "simulated_tools": {"simulator": second},
        "recorded": {"rollouts": str(recorded)},
        "command": PROGRAM,
        "sandboxed": {"kind": "command", "sandbox": "local", **PROGRAM},
        **{name: {"program": str(folder / program)} for name, program in SHELLS.items()},
        "black_box": {"environment": multi, "token_id_capture": True},
        "in_band": {"environment": multi},
        "remote_agent_without_tokens": {
            "kind": "remote_agent",
            "agent_base_url": f"http://127.0.0.1:{ports['plain']}",
        },
        "black_box_without_capture": {"kind": "black_box", "environment": multi},
        "forgetful_command": {"kind": "command", **PROGRAM, "argv": [*PROGRAM["argv"][:-1], FORGETFUL]},
        "retokenised_command": {"kind": "command", "model": "retokenising_model", **PROGRAM},
        "retokenised_tool_loop": {"kind": "tool_loop", "environment": multi, "model": "retokenising_model"},
    }
    return {
        "errand": {"resources_servers": {"errand": own}},
        "walk": {"resources_servers": {"walk": walk}},
        "plain_model": {"responses_api_models": {"vllm_model": {**plain, "port": ports["plain"]}}},
        "retokenising_model": {
            "responses_api_models": {
                "vllm_model": {**plain, "base_url": retokenising, "return_token_id_information": True}
            }
        },
        "policy_model": {"responses_api_models": {"vllm_model": {"port": ports["policy"]}}},
        "token_id_capture": {"enabled": True, "dir": str(folder / "tokens")},
        **{name: instance(name, **of) for name, of in settings.items()},
    }


def instance(
    name: str, kind: str = "", environment: str = "errand", model: str = "policy_model", **settings: Any
) -> dict[str, Any]:
    block = {
        "entrypoint": "app.py",
        "resources_server": {"type": "resources_servers", "name": environment},
        "model_server": {"type": "responses_api_models", "name": model},
        **settings,
    }
    return {"responses_api_agents": {kind or name: block}}


def row(number: int, name: str) -> dict[str, Any]:
    if name in SYNONYMS:
        lines = (library()["example_multi_step"] / "data" / "example.jsonl").read_text().splitlines()
        task = json.loads(lines[0])
    else:
        task = {"responses_create_params": {"input": [{"role": "user", "content": TASKS.get(name, CALLING)}]}}
    stamps = {"_rowidx": number, "_ng_task_index": 0, "_ng_rollout_index": 0}
    return {**task, **stamps, "agent_ref": {"name": name}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """One rollout of every agent, collected as the trainer does, by the name of the agent."""
    folder = tmp_path_factory.mktemp("agents")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("NEMO_GYM_EXTRA_ROOTS", str(folder))
        urls = [_endpoint(stack), _endpoint(stack, "--splice=0")]
        ports = {name: free_port() for name in ("tool_loop", "policy", "plain")}
        actor = Actor(urls[:1], MULTI_STEP, head_host="127.0.0.1", **agents(folder, ports, urls[1]))
        stack.callback(actor.rh.shutdown)
        rows = [row(number, name) for number, name in enumerate(KINDS)]
        found = asyncio.run(actor.run_rollouts(rows))
        yield {name: found[number] for number, name in enumerate(KINDS)}


def _endpoint(stack: ExitStack, *words: str) -> str:
    server = [sys.executable, str(SUPPORT / "token_server.py"), *words]
    process = stack.enter_context(subprocess.Popen(server, stdout=subprocess.PIPE))
    stack.callback(process.kill)
    assert process.stdout is not None
    return f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


def test_every_kind_of_agent_is_here() -> None:
    assert set(AGENTS) <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_the_rollouts_of_an_agent_are_samples(results: dict[str, dict[str, Any]], name: str) -> None:
    sample = post_process(results[name])
    (sequence, *_) = sequences(results[name])

    assert len(sample.messages) == 2 * CALLS[name]
    assert not sample.masked
    assert sequence.mask is None
    assert sequence.ids.tolist() == sample.token_ids
    assert [False] * len(sequence.prompt_ids) + sequence.loss_mask.tolist() == sample.trained
    assert not sample.is_invalid_tool_call
    assert not sample.has_malformed_thinking
    assert sample.metrics["reward"] == sample.reward > 0


@pytest.mark.parametrize("name", UNTRAINABLE)
def test_what_can_not_be_trained_on_is_masked_with_a_reason(
    results: dict[str, dict[str, Any]], name: str
) -> None:
    result = results[name]

    assert result["mask_sample"] is True
    assert result["_ng_token_capture"]["masked"] == UNTRAINABLE[name]
    assert {one.mask for one in sequences(result)} == {UNTRAINABLE[name]}
    if UNTRAINABLE[name] != "no_tokens":
        assert post_process(result).masked


def test_a_batch_has_a_column_for_each_component(results: dict[str, dict[str, Any]]) -> None:
    batch = [post_process(results[name]) for name in ("refinement", "tool_loop", "step_loop")]
    assert reward_columns(batch) == {"reward/again": [0.5, 0.0, 0.0], "reward/tried": [0.5, 0.5, 0.0]}
