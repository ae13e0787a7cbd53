"""`gym env start` with an engine of its own, shared by a second model server with other settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.started import Gym, until

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    """With a fake `vllm` on the PATH."""
    made = Gym(tmp_path)
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {SUPPORT / "fake_vllm.py"} "$@"\n')
    program.chmod(0o755)
    made.env["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    yield made
    made.clean()


def config(folder: Path) -> Path:
    models: dict[str, Any] = {
        "policy_model": {
            "local_vllm_model": {
                "entrypoint": "app.py",
                "model": "org/policy",
                "base_url": [],
                "api_key": "dummy",
                "return_token_id_information": True,
                "uses_reasoning_parser": True,
                "hf_home": None,
                "vllm_serve_kwargs": {"tensor_parallel_size": 1},
                "debug": False,
            }
        },
        "brief": {
            "local_vllm_model_proxy": {
                "entrypoint": "app.py",
                "return_token_id_information": False,
                "uses_reasoning_parser": True,
                "model_server": {"type": "responses_api_models", "name": "policy_model"},
                "sampling_overrides": {"max_tokens": 3},
            }
        },
    }
    path = folder / "engine.yaml"
    path.write_text(json.dumps({name: {"responses_api_models": model} for name, model in models.items()}))
    return path


def said(url: str) -> tuple[str, Any]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        response = client.responses.create(model="any", input="say hello")
    return response.output_text, response.output[-1].model_extra


def test_two_servers_use_one_engine_each_in_its_way(gym: Gym) -> None:
    gym.start("--config", config(gym.folder))
    servers = gym.servers()
    text, tokens = said(servers["policy_model"]["url"])
    assert text == "hello"
    assert "generation_token_ids" in tokens
    assert said(servers["brief"]["url"]) == ("hel", {})
    with urllib.request.urlopen(f"{servers['policy_model']['url']}/get_inner_vllm_config") as answer:
        access = json.load(answer)
    assert access["model"] == "org/policy"
    assert access["api_key"] == "dummy"
    (url,) = access["base_url"]
    assert url.startswith("http://127.0.0.1:")
    assert [line for line in gym.processes().values() if "fake_vllm.py serve" in line]
    gym("env", "stop")
    assert until(lambda: not gym.processes())


def test_an_engine_that_does_not_start_is_told(gym: Gym) -> None:
    gym.env["FAKE_VLLM"] = "broken"
    gym.start("--config", config(gym.folder))
    url = gym.servers()["policy_model"]["url"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/get_inner_vllm_config")
    with caught.value as answer:
        assert answer.code == 503
        assert "no kernel image is available" in answer.read().decode()


def test_a_run_starts_its_engine_and_leaves_nothing(gym: Gym) -> None:
    run = ("run", "mcqa", "--model-type", "local_vllm", "--model", "org/policy", "--limit", 1)
    done: subprocess.CompletedProcess[str] = gym(*run)
    assert done.returncode == 0, done.stderr
    assert until(lambda: not gym.processes())
    several = gym(*run, "--workers", 2, "--output", "other.jsonl")
    assert several.returncode == 2
    assert "several workers would each start an engine of their own" in several.stderr
