"""The original package's collector and agent against servers that `gym env start` started: our rewards.

Not part of the default run, for it needs the original in an environment of its own: `make test-interop`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import read_rows
from plans import (
    ENVIRONMENTS,
    HERE,
    ORIGINAL,
    SCRIPT,
    by_task,
    rewards_here,
    rewards_of_all_here,
    tasks,
    tasks_for_agents,
    write_rows,
)

import nemo_gym
from nemo_gym.agents.remote_run import RemoteRun
from tests.support.started import Gym

REPEATS = 2


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The head server of our environments, their agents and the scripted model."""
    gym = Gym(tmp_path_factory.mktemp("started"))
    chosen = [word for environment in ENVIRONMENTS for word in ("--environment", environment)]
    try:
        gym.start(*chosen, "--model-type", "scripted", "-m", SCRIPT)
        yield gym.servers()["policy_model"]["head_url"]
    finally:
        gym.clean()


@pytest.fixture(scope="module")
def original_agents(head: str) -> Iterator[dict[str, str]]:
    """URLs of the original's agents, by the environment of ours that they act in."""
    command = [ORIGINAL, HERE / "serve_original_agents.py", "--head", head]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the original's agents did not start"
        yield json.loads(line)
        process.communicate()


async def test_the_originals_collector_reports_our_rewards_row_for_row(head: str, tmp_path: Path) -> None:
    collected = collect_with_the_original(
        head, write_rows(tmp_path / "rows.jsonl", tasks_for_agents("_simple_agent"))
    )

    found = sorted(read_rows(collected), key=lambda row: (row["_ng_task_index"], row["_ng_rollout_index"]))
    ours = [reward for reward in await rewards_of_all_here() for _ in range(REPEATS)]
    assert [row["reward"] for row in found] == ours
    metrics = json.loads((tmp_path / "out_aggregate_metrics.json").read_text())
    means = {agent["agent_ref"]["name"]: agent["key_metrics"]["mean/reward"] for agent in metrics}
    assert means == {f"{environment}_simple_agent": 0.6 for environment in ENVIRONMENTS}


def collect_with_the_original(head: str, rows: Path) -> Path:
    """Run the original's `gym eval run --no-serve`; the file of rollouts, none of which failed."""
    output = rows.with_name("out.jsonl")
    address = urlsplit(head)
    words = [
        *("eval", "run", "--no-serve", "-i", rows, "-o", output, "--num-repeats", str(REPEATS)),
        f"+head_server={{host: {address.hostname}, port: {address.port}}}",
    ]
    ran = subprocess.run(
        [ORIGINAL.with_name("gym"), *words],
        cwd=rows.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert output.with_name("out_failures.jsonl").read_text() == ""
    return output


@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_the_originals_agent_earns_our_rewards_in_our_environment(
    original_agents: dict[str, str], environment: str
) -> None:
    agent = RemoteRun(url=original_agents[environment])
    rollouts = nemo_gym.collect(None, None, tasks(environment), agent=agent)
    there = by_task([rollout async for rollout in rollouts])

    assert there == await rewards_here(environment)
    assert set(there.values()) == {0.0, 1.0}
