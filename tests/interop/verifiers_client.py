"""The verifiers library's `nemo-gym` task set against servers that `gym env start` started: our rewards.

Its own stock harness acts with a model server of ours. Not part of the default run, for it needs verifiers
and uv in an environment of their own: `make test-interop`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows
from plans import PEERS, SCRIPT, Row, tasks, write_rows

import nemo_gym
from nemo_gym.environments.discovery import find_environment
from nemo_gym.models.scripted import ScriptedModel
from tests.support.started import Gym

VERIFIERS = PEERS / "verifiers" / "bin"
OVER_MCP = "_over_mcp"
ENVIRONMENTS = ("mcqa", "workplace_assistant", "example_session_state_mgmt")
SERVERS = [*ENVIRONMENTS, *(f"{environment}{OVER_MCP}" for environment in ENVIRONMENTS[1:])]

Acted = dict[int, tuple[float | None, list[str]]]
"""By task: the reward, and what the tools said."""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URLs of the environments' servers, with and without MCP, and of the scripted model."""
    gym = Gym(tmp_path_factory.mktemp("started"))
    config = gym.folder / "servers.yaml"
    config.write_text(json.dumps({server: block(server) for server in SERVERS}))
    try:
        gym.start("--config", config, "--model-type", "scripted", "-m", SCRIPT)
        yield {name: server["url"] for name, server in gym.servers().items()}
    finally:
        gym.clean()


def block(server: str) -> dict[str, Any]:
    """The configuration of a server."""
    settings = {"entrypoint": "app.py", "domain": "agent", "expose_tools_over_mcp": server.endswith(OVER_MCP)}
    return {"resources_servers": {server.removesuffix(OVER_MCP): settings}}


@pytest.mark.parametrize("server", SERVERS)
async def test_verifiers_sees_our_tool_outputs_and_reports_our_rewards(
    urls: dict[str, str], tmp_path: Path, server: str
) -> None:
    rows = tasks(server.removesuffix(OVER_MCP))
    ours = await acted_here(server.removesuffix(OVER_MCP), rows)
    if server.endswith(OVER_MCP):
        for row in rows:
            del row["responses_create_params"]["tools"]
    write_rows(tmp_path / "rows.jsonl", rows)

    assert evaluated(tmp_path, urls[server], f"{urls['policy_model']}/v1") == ours
    assert {reward for reward, _ in ours.values()} == {0.0, 1.0}


async def acted_here(environment: str, rows: list[Row]) -> Acted:
    """What our own environment gives for the same rows and the same model."""
    rollouts = nemo_gym.collect(find_environment(environment), ScriptedModel(SCRIPT), rows)
    return {
        rollout.task_index: (
            rollout.reward,
            [item["output"] for item in rollout.response.output if item["type"] == "function_call_output"],
        )
        async for rollout in rollouts
    }


def evaluated(folder: Path, resources_url: str, model_url: str) -> Acted:
    """What `vf-eval` reports for the rows in a folder."""
    config: dict[str, Any] = {
        "model": "policy_model",
        "push": False,
        "output_dir": str(folder),
        "max_concurrent": 4,
        "run": {"name": "run"},
        "client": {"type": "eval", "base_url": model_url, "api_key_var": "NOT_A_KEY"},
        "env": {
            "taskset": {
                "id": "nemo-gym",
                "dataset": str(folder / "rows.jsonl"),
                "task": {"resources_url": resources_url},
            },
            "agent": {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}},
        },
    }
    (folder / "eval.json").write_text(json.dumps(config))
    ran = subprocess.run(
        [VERIFIERS / "vf-eval", "@", folder / "eval.json"],
        cwd=folder,
        env={**os.environ, "PATH": f"{VERIFIERS}:{os.environ['PATH']}", "NOT_A_KEY": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    episodes = read_rows(folder / "run" / "traces.jsonl")
    assert [episode["errors"] for episode in episodes if not episode["ok"]] == []
    return {episode["task"]["data"]["idx"]: acted_there(episode["traces"][0]) for episode in episodes}


def acted_there(trace: dict[str, Any]) -> tuple[float, list[str]]:
    """The same of one trace."""
    messages = [node["message"] for node in trace["nodes"] if "message" in node]
    said = [message["content"] for message in messages if message["role"] == "tool"]
    return trace["rewards"]["nemo_gym"]["score"], said
