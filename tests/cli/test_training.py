"""`gym export`, `gym tokens` and `gym dataset expand` on the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.jsonl import encode

Gym = Callable[..., "subprocess.CompletedProcess[str]"]


def row(task: int, prompts: list[list[int]]) -> bytes:
    """A row with a model call for each prompt, which samples the token 9."""
    tokens = {"generation_token_ids": [9], "generation_log_probs": [-1.0]}
    output = [{**assistant(f"answer {task}"), "prompt_token_ids": prompt, **tokens} for prompt in prompts]
    fields = {
        "_ng_task_index": task,
        "_ng_rollout_index": 0,
        "responses_create_params": {"input": [user("hi")]},
        "response": {"output": output},
        "reward": 1.0,
    }
    return encode(fields) + b"\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    path.write_bytes(row(0, [[1], [1, 9, 2]]) + row(1, [[1], [5, 5]]))
    return path


def test_an_export_says_what_it_wrote(gym: Gym, run: Path) -> None:
    done = gym("export", run, "--min-reward", 1)

    assert done.returncode == 0, done.stderr
    assert f"2 rollouts of 2 tasks -> {run.parent}/run.sft.jsonl" in done.stdout
    assert len((run.parent / "run.sft.jsonl").read_text().splitlines()) == 2
    assert gym("export", run, "--format", "dpo").stdout.splitlines()[1:] == [
        "  run.dpo.jsonl                         0",
        "  left out: task without a pair         2",
    ]
    report = json.loads(gym("export", run, "--format", "dpo", "--json").stdout)
    assert report["left_out"] == {"task_without_a_pair": 2}


def test_the_rollout_service_takes_settings_of_its_model(gym: Gym) -> None:
    vllm = ("--model-type", "vllm", "--model-url", "http://127.0.0.1:9/v1", "-m", "x")
    done = gym("serve", "rollouts", "reasoning", *vllm, "--port", 0, "--model-setting", "tokeniser=x")

    assert done.returncode == 2
    assert "model type 'vllm' has no setting 'tokeniser'. Did you mean 'tokenizer'" in done.stderr


def test_a_wrong_format_names_the_right_ones(gym: Gym, run: Path) -> None:
    done = gym("export", run, "--format", "jsonl")

    assert done.returncode == 2
    assert "sharegpt" in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_tokens_end_the_check_with_1_and_name_the_line(gym: Gym, run: Path) -> None:
    done = gym("tokens", "check", run)

    assert done.returncode == 1
    assert "2 rollouts: 2 with tokens, 1 broken" in done.stdout
    assert f"{run}:2: task 1, repeat 0, item 1: unknown" in done.stdout
    assert "first different token: 0 of the prompt" in done.stdout


def test_a_break_in_another_branch_is_found(gym: Gym, run: Path) -> None:
    side = json.loads(row(0, [[1], [5, 5]]))["response"]["output"]
    side[0]["content"] = [{"type": 5}]
    branched = json.loads(row(0, [[1], [1, 9, 2]])) | {
        "_ng_token_capture": {"branches": [{"invocation_id": "main"}, {"invocation_id": "side"}]},
        "ng_trajectory": {"invocations": [{"invocation_id": "side", "conversation": side}]},
    }
    run.write_bytes(encode(branched) + b"\n")

    done = gym("tokens", "check", run)

    assert done.returncode == 1
    assert f"{run}:1: task 0, repeat 0, branch 1, item 1: unknown" in done.stdout


def test_right_tokens_end_the_check_with_0(gym: Gym, run: Path) -> None:
    run.write_bytes(row(0, [[1], [1, 9, 2]]))

    done = gym("tokens", "check", run, "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "rollouts": 1, "with_tokens": 1, "broken": 0, "causes": {}, "findings": [],
    }  # fmt: skip


def test_a_tokenizer_that_is_none_is_a_mistake(gym: Gym, run: Path) -> None:
    (run.parent / "tokenizer.json").write_text("{}")

    missing = gym("tokens", "check", run, "--tokenizer", run.parent / "nowhere")
    broken = gym("tokens", "check", run, "--tokenizer", run.parent)

    assert (missing.returncode, broken.returncode) == (2, 2)
    assert "there is no such file" in missing.stderr
    assert "not a tokenizer.json" in broken.stderr


def test_rows_are_expanded(gym: Gym, run: Path) -> None:
    done = gym("dataset", "expand", run, "-o", run.parent / "full.jsonl")

    assert done.returncode == 0, done.stderr
    assert "2 rows" in done.stdout
