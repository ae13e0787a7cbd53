"""The main job from the command line, against a real endpoint over HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import StartEndpoint, read_rows

Gym = Callable[..., "subprocess.CompletedProcess[str]"]


def write_questions(path: Path, count: int) -> Path:
    """Multiple-choice rows whose prompt has the test endpoint answer B."""
    with path.open("w") as file:
        for number in range(count):
            row = {
                "responses_create_params": {"input": [{"role": "user", "content": "say \\boxed{B}"}]},
                "options": [{"A": "one"}, {"B": "two"}],
                "expected_answer": "B" if number % 4 else "A",
            }
            file.write(json.dumps({**row, "number": number}) + "\n")
    return path


@pytest.mark.parametrize("dialect", ["chat", "responses", "vllm_model", "openai_model"])
def test_mcqa_runs_against_an_openai_compatible_endpoint(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym, dialect: str
) -> None:
    tasks, out = write_questions(tmp_path / "tasks.jsonl", 100), tmp_path / "out.jsonl"

    result = gym(
        *("run", "mcqa", "-i", tasks, "-o", out, "--model-type", dialect),
        *("--model-url", start_endpoint(), "-m", "name", "--concurrency", 64),
    )

    assert result.returncode == 0, result.stderr
    rows = read_rows(out)
    assert sum(row["reward"] for row in rows) == 75
    assert {row["extracted_answer"] for row in rows} == {"B"}
    assert sorted(row["number"] for row in rows) == list(range(100))
    metrics = json.loads((tmp_path / "out_aggregate_metrics.json").read_text())
    assert metrics[0]["agent_metrics"]["pass@1/accuracy"] == 75.0
    assert metrics[0]["agent_metrics"]["majority@1/accuracy"] == 75.0


def test_a_recorded_run_is_replayed_without_the_endpoint(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    tasks, recording = write_questions(tmp_path / "tasks.jsonl", 8), tmp_path / "calls.jsonl"
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    common = ["run", "mcqa", "-i", tasks, "--num-repeats", 2]

    gym(*common, "-o", first, "--model-url", start_endpoint(), "-m", "name", "--record", recording)
    result = gym(*common, "-o", second, "--model-type", "replay", "-m", recording)

    assert result.returncode == 0, result.stderr

    def rewards(path: Path) -> dict[tuple[int, int], float]:
        return {(row["_ng_task_index"], row["_ng_rollout_index"]): row["reward"] for row in read_rows(path)}

    assert rewards(first) == rewards(second)
    assert len(rewards(first)) == 16


def test_a_newcomer_needs_two_commands(tmp_path: Path, gym: Gym) -> None:
    """With the embedded model, whose rewards are real; a limit keeps the test short."""
    assert gym("env", "init", "demo", cwd=tmp_path).returncode == 0
    result = gym("run", "demo", "--limit", 8, "--max-output-tokens", 16, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "mean reward" in result.stdout
    (out,) = [path for path in (tmp_path / "results").glob("demo_*.jsonl") if path.stem.count("_") == 1]
    assert len(read_rows(out)) == 8
    assert gym("env", "check", "demo", cwd=tmp_path).returncode == 0


def test_the_embedded_model_collects_rewards_that_trainers_can_use(tmp_path: Path, gym: Gym) -> None:
    out = tmp_path / "out.jsonl"

    result = gym(
        *("run", "reasoning", "families=addition", "-o", out, "--limit", 8, "--num-repeats", 2),
        *("--max-output-tokens", 16, "--temperature", 0, "--json"),
    )

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["summary"]["scored"] == 16
    for row in read_rows(out):
        item = row["response"]["output"][-1]
        assert len(item["generation_token_ids"]) == len(item["generation_log_probs"]) > 0
        assert len(item["prompt_token_ids"]) == row["response"]["usage"]["input_tokens"]
