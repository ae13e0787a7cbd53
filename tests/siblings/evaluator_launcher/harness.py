"""The real `nemo-evaluator run_eval` 0.2 on the harness `core_evals.nemo_gym`: the scores of our own run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

import nemo_gym as gym
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.wire.items import user

BIN = Path(sys.executable).parent
SUPPORT = Path(__file__).parents[2] / "support"
ENVIRONMENT = {**os.environ, "NEMO_TELEMETRY_ENABLED": "false", "PATH": f"{BIN}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    command = [sys.executable, str(SUPPORT / "endpoint.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    process.kill()
    process.communicate()


def rows() -> list[dict[str, Any]]:
    return [
        {
            "responses_create_params": {"input": [user(f"say \\boxed{{B}} for question {number}")]},
            "options": [{"A": "one"}, {"B": "two"}, {"C": "three"}],
            "expected_answer": "ABC"[number % 3],
        }
        for number in range(6)
    ]


def evaluator(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "nemo-evaluator"), *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )


def test_it_lists_our_harness_with_every_benchmark() -> None:
    done = evaluator("ls")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "nemo_gym:" in done.stdout
    assert {"environment", "gsm8k", "tau2"} <= {line.strip(" *") for line in done.stdout.splitlines()}


async def test_an_evaluation_has_the_scores_of_our_own_run(endpoint: str, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    config = {
        "config": {
            "type": "nemo_gym.environment",
            "output_dir": str(tmp_path / "out"),
            "params": {"task": "mcqa", "extra": {"num_repeats": 2, "args": f"--input {tasks}"}},
        },
        "target": {"api_endpoint": {"url": f"{endpoint}/chat/completions", "model_id": "m", "type": "chat"}},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    done = evaluator("run_eval", "--run_config", str(tmp_path / "run.yaml"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = yaml.safe_load((tmp_path / "out" / "results.yml").read_text())["results"]
    metrics = results["tasks"]["mcqa"]["metrics"]
    rollouts = gym.collect("mcqa", ModelSpec("chat", "m", endpoint), tasks, num_repeats=2)
    rewards = [float(one.reward or 0.0) async for one in rollouts]
    mean = sum(rewards) / len(rewards)
    assert metrics["reward"]["scores"]["mean"]["value"] == pytest.approx(mean) == pytest.approx(1 / 3)
    assert metrics["pass_at_1"]["scores"]["pass_at_1"]["value"] == pytest.approx(mean)
    assert metrics["failed"]["scores"]["rollouts"]["value"] == 0.0
    launcher = import_module("nemo_evaluator_launcher.exporters.utils")
    read = launcher.extract_accuracy_metrics(tmp_path / "out")
    assert sorted(read.values()) == pytest.approx([0.0, 1 / 3, 1 / 3, 1 / 3], abs=1e-3)
    assert results["groups"]["mcqa"]["metrics"].keys() == metrics.keys()


def test_the_parsed_output_is_evaluators_own_type(tmp_path: Path) -> None:
    program = tmp_path / "model.py"
    program.write_text("def play(params):\n    return '\\\\boxed{B}'\n")
    command = ["gym", "run", "mcqa", "--split", "example", "-o", str(tmp_path / "rollouts.jsonl")]
    done = subprocess.run([*command, "--model-type", "scripted", "-m", f"{program}:play"], env=ENVIRONMENT)
    assert done.returncode == 0
    result = import_module("core_evals.nemo_gym.output").parse_output(str(tmp_path))
    dataclasses = import_module("nemo_evaluator.api.api_dataclasses")
    assert isinstance(result, dataclasses.EvaluationResult)
    assert 0 < result.tasks["mcqa"].metrics["reward"].scores["mean"].value < 1
