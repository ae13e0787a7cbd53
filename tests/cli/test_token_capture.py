"""Black-box agents between our servers: their rows carry the tokens that the policy sampled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.environments.environment_info import library
from nemo_gym.wire.token_packing import expand_row
from tests.compat.trainer import message_log
from tests.conftest import StartEndpoint
from tests.support.black_box import APP
from tests.support.started import Gym


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    yield program
    program.clean()


def box_config(gym: Gym, url: str, *, box: dict[str, Any] | None = None, **top: Any) -> Path:
    """A configuration with the black box, `example_multi_step` and a model at `url`."""
    folder = gym.folder / "responses_api_agents" / "box"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    model = {"entrypoint": "app.py", "base_url": url, "api_key": "k", "model": "m"}
    agent = {
        "entrypoint": "app.py",
        "resources_server": {"type": "resources_servers", "name": "steps"},
        "model_server": {"type": "responses_api_models", "name": "policy_model"},
        **(box or {}),
    }
    tree = {
        "policy_model": {
            "responses_api_models": {
                "vllm_model": {**model, "return_token_id_information": True, "uses_reasoning_parser": True}
            }
        },
        "steps": {"resources_servers": {"example_multi_step": {"entrypoint": "app.py", "domain": "agent"}}},
        "box": {"responses_api_agents": {"box": agent}},
        **top,
    }
    path = gym.folder / "config.yaml"
    path.write_text(json.dumps(tree))
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [expand_row(json.loads(line)) for line in path.read_text().splitlines()]


def test_a_black_box_s_rollouts_are_rebuilt_from_the_captured_tokens(
    gym: Gym, start_endpoint: StartEndpoint
) -> None:
    config = box_config(
        gym,
        start_endpoint("token_server.py"),
        box={"token_id_capture": True},
        token_id_capture={"enabled": True},
    )
    result = gym("eval", "run", "--config", config, "--split", "example", "--limit", 3, "-o", "out.jsonl")
    assert result.returncode == 0, result.stderr
    rows = rows_of(gym.folder / "out.jsonl")
    assert len(rows) == 3
    for row in rows:
        assert len(message_log(row)) >= 8
        assert (row["reward"], row["mask_sample"]) == (1.0, False)
        assert row["_ng_token_capture"]["masked"] is None
        kinds = [item["type"] for item in row["response"]["output"]]
        assert kinds.count("function_call_output") >= 3
        assert row["response"]["id"] == "box"
    assert list((gym.folder / "out_captures" / "token_ids").iterdir()) == []


def test_every_agent_can_be_captured_and_sub_agents_are_branches(
    gym: Gym, start_endpoint: StartEndpoint
) -> None:
    config = box_config(
        gym,
        start_endpoint("token_server.py"),
        box={"sub_agent": True},
        token_id_capture={"enabled": True, "all_agents": True, "dir": str(gym.folder / "tokens")},
        observability_enabled=True,
    )
    result = gym("eval", "run", "--config", config, "--split", "example", "--limit", 1, "-o", "out.jsonl")
    assert result.returncode == 0, result.stderr
    (row,) = rows_of(gym.folder / "out.jsonl")
    assert message_log(row)
    assert row["mask_sample"] is False
    main, title = row["ng_trajectory"]["invocations"]
    assert title["conversation"][-1]["generation_token_ids"]
    calls = row["ng_model_call_capture"]
    assert calls["metrics"]["num_calls"] == len(main["model_calls"]) + len(title["model_calls"])
    assert {call["dialect"] for call in calls["calls"]} == {"chat"}
    assert (gym.folder / "out_captures" / "model_calls" / "0-0.capture.jsonl").exists()


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["one process", "isolated"])
def test_agents_that_run_already_are_captured_in_the_shared_folder(
    gym: Gym, start_endpoint: StartEndpoint, isolate: list[str]
) -> None:
    config = box_config(
        gym,
        start_endpoint("token_server.py"),
        token_id_capture={"enabled": True},
        observability_enabled=True,
        ours={
            "responses_api_agents": {
                "simple_agent": {
                    "entrypoint": "app.py",
                    "resources_server": {"type": "resources_servers", "name": "steps"},
                    "model_server": {"type": "responses_api_models", "name": "policy_model"},
                    "token_id_capture": True,
                }
            }
        },
    )
    gym.start("--config", config, *isolate)
    head = gym.servers()["ours"]["head_url"]
    tasks = library()["example_multi_step"] / "data" / "example.jsonl"
    again = ("eval", "run", "--config", config, "--no-serve", "--head-url", head, "-i", tasks, "--limit", 2)
    for name, output in (("ours", "a.jsonl"), ("ours", "b.jsonl"), ("box", "c.jsonl")):
        result = gym(*again, "--agent", name, "-o", output)
        assert result.returncode == 0, result.stderr
    for row in [*rows_of(gym.folder / "a.jsonl"), *rows_of(gym.folder / "b.jsonl")]:
        calls = len(message_log(row)) // 2
        assert row["ng_model_call_capture"]["metrics"]["num_calls"] == calls
        assert row["ng_model_call_capture"]["calls"][0]["model_ref"]["name"] == "policy_model"
        assert row["_ng_token_capture"]["calls"] == calls
    for row in rows_of(gym.folder / "c.jsonl"):
        assert row["ng_model_call_capture"]["metrics"]["num_calls"] > 3
        assert "_ng_token_capture" not in row


def test_a_run_without_tokens_to_train_on_stops_and_says_why(gym: Gym) -> None:
    result = gym(
        *("eval", "run", "--environment", "mcqa", "--split", "example", "--model-type", "scripted"),
        *("-m", gym.script("answer = lambda params: 'A'"), "-o", "out.jsonl", "--concurrency", 1),
        "token_id_capture={enabled: true, all_agents: true, max_mask_fraction: 0.5, "
        "mask_fraction_min_samples: 2}",
    )
    assert result.returncode == 1
    message = (
        "2 of 2 rollouts can't be trained on, more than max_mask_fraction 0.5 allows: capture_incomplete 2"
    )
    assert message in " ".join(result.stderr.split())
    assert all(row["mask_sample"] for row in rows_of(gym.folder / "out.jsonl"))


def test_plain_runs_keep_their_calls_in_the_folder_that_a_flag_names(gym: Gym) -> None:
    words = ("run", "mcqa", "--split", "example", "--model-type", "scripted", "--limit", 2)
    script = gym.script("answer = lambda params: 'A'")
    for output in ("a.jsonl", "b.jsonl"):
        result = gym(*words, "-m", script, "--capture-dir", "calls", "-o", output, "--workers", 2)
        assert result.returncode == 0, result.stderr
    for row in rows_of(gym.folder / "b.jsonl"):
        calls = row["ng_model_call_capture"]
        assert (calls["metrics"]["num_calls"], calls["gaps"]) == (1, [])
        (asked,) = row["responses_create_params"]["input"]
        assert calls["calls"][0]["request"]["input"][0]["content"] == asked["content"]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"enabled": True, "dri": "x"}, "token_id_capture: Object contains unknown field `dri`"),
        (
            {"enabled": True, "sink": "nowhere:Sink"},
            "token_id_capture.sink nowhere:Sink: expected module:Class",
        ),
        ({"enabled": True, "sink": "json:JSONDecoder"}, "has no freeze and drop"),
    ],
)
def test_a_wrong_block_is_said_before_anything_starts(gym: Gym, block: dict[str, Any], message: str) -> None:
    config = box_config(gym, "http://127.0.0.1:9/v1", token_id_capture=block)
    result = gym("eval", "run", "--config", config, "--split", "example", "-o", "out.jsonl")
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
