"""Our collector against servers that the original package started: the same rewards, row for row.

Not part of the default run, for it needs the original in an environment of its own: `make test-interop`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from nemo_gym.models.scripted import ScriptedModel


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, HERE / "script.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.kill()


@pytest.fixture(scope="module")
def servers(model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The original's head server and resources servers."""
    out = tmp_path_factory.mktemp("original")
    command = [ORIGINAL, HERE / "serve_original.py", "--model-url", model_url, "--out", out]
    with (
        (out / "log.txt").open("w") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the original did not start:\n{(out / 'log.txt').read_text()[-3000:]}"
        yield json.loads(line)
        process.communicate()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_the_originals_environments_give_our_agent_the_same_rewards(
    servers: dict[str, Any], environment: str
) -> None:
    url = servers["environments"][environment]
    model = ScriptedModel(SCRIPT)
    there = by_task([rollout async for rollout in nemo_gym.collect(url, model, tasks(environment))])

    assert there == await rewards_here(environment)
    assert set(there.values()) == {0.0, 1.0}


async def test_no_serve_collects_from_all_of_the_originals_agents_in_one_run(
    servers: dict[str, Any], gym: Callable[..., Any], tmp_path: Path
) -> None:
    rows, output = write_rows(tmp_path / "rows.jsonl", tasks_for_agents("_agent")), tmp_path / "out.jsonl"

    result = gym("eval", "run", "--no-serve", "--head-url", servers["head"], "-i", rows, "-o", output)

    assert result.returncode == 0, result.stderr
    found = [line["reward"] for line in sorted(read_rows(output), key=lambda line: line["_ng_task_index"])]
    assert found == await rewards_of_all_here()
