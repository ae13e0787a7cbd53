"""Data sets collated and uploaded by the original package and here: the same files, figures and names.

Not part of the default run, for it needs the original in an environment of its own: `make test-interop`.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from conftest import StartEndpoint, read_rows
from plans import ORIGINAL, write_rows

from tests.support.hub_server import TOKEN
from tests.support.started import Gym

COLLATE = ("dataset", "collate", "--config", "run.yaml", "--mode", "train_preparation")


def row(drawn: random.Random, number: int) -> dict[str, Any]:
    turns = [
        {"role": role, "content": " ".join(drawn.choices(["one", "zwölf", "a\u3000b", "c\n"], k=4))}
        for role in drawn.choices(["user", "assistant", "system"], k=drawn.randrange(1, 4))
    ]
    params: dict[str, Any] = {"input": drawn.choice([turns, "plain text"])}
    if drawn.random() < 0.5:
        tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
        params |= {"temperature": drawn.random() * 2, "tools": [tool] * drawn.randrange(3)}
    return {
        "responses_create_params": params,
        "name": f"row {number % 5}",
        "score": drawn.choice([drawn.gauss(0, 100), drawn.random() / 100, number]),
        "right": drawn.choice([True, False, None]),
        "tags": drawn.choices(["a", "b", "c"], k=drawn.randrange(3)),
        "meta": {"inner": number},
    }


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    """A folder with two data sets that an agent declares."""
    drawn = random.Random(3)
    for name in ("train", "held"):
        write_rows(tmp_path / f"{name}.jsonl", [row(drawn, number) for number in range(60)])
    reference = {"type": "resources_servers", "name": "sums"}
    model = {"type": "responses_api_models", "name": "policy_model"}
    fields = {"license": "MIT", "num_repeats": 3}
    datasets = [
        {"name": "t", "type": "train", "jsonl_fpath": "train.jsonl", **fields},
        {"name": "v", "type": "validation", "jsonl_fpath": "held.jsonl", "license": "MIT"},
    ]
    agent = {
        "entrypoint": "app.py",
        "resources_server": reference,
        "model_server": model,
        "datasets": datasets,
    }
    url = {"openai_base_url": "x", "openai_api_key": "x", "openai_model": "x"}
    tree = {
        "sums": {"resources_servers": {"sums": {"entrypoint": "app.py", "domain": "math"}}},
        "sums_agent": {"responses_api_agents": {"simple_agent": agent}},
        "policy_model": {"responses_api_models": {"openai_model": {"entrypoint": "app.py", **url}}},
    }
    made = tmp_path / "resources_servers" / "sums" / "configs" / "sums.yaml"
    made.parent.mkdir(parents=True)
    for path in (made, tmp_path / "run.yaml"):
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return Gym(tmp_path)


def original(gym: Gym, program: str, *words: object) -> None:
    command = [ORIGINAL.with_name(program), *words]
    done = subprocess.run(
        [*map(str, command)], cwd=gym.folder, env=gym.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_each_accepts_the_others_metrics_and_writes_the_same_rows(gym: Gym) -> None:
    original(gym, "gym", *COLLATE, "--output-dir", "theirs")
    done = gym(*COLLATE, "--output-dir", "ours")
    assert done.returncode == 0, done.stderr
    original(gym, "gym", *COLLATE, "--output-dir", "ours")
    for name in ("train", "validation"):
        assert read_rows(gym.folder / "ours" / f"{name}.jsonl") == read_rows(
            gym.folder / "theirs" / f"{name}.jsonl"
        )
        theirs, ours = (
            json.loads((gym.folder / made / f"{name}_metrics.json").read_text())
            for made in ("theirs", "ours")
        )
        assert theirs == ours


def test_both_upload_to_the_same_repository(gym: Gym, start_endpoint: StartEndpoint) -> None:
    hub = start_endpoint("hub_server.py").removesuffix("/v1")
    gym.env |= {"HF_ENDPOINT": hub, "HF_HOME": str(gym.folder / "hub"), "HF_HUB_DISABLE_XET": "1"}
    keys = {
        "hf_token": TOKEN,
        "hf_organization": "acme",
        "hf_collection_name": "gym",
        "hf_collection_slug": "0123456789abcdef01234567",
        "resource_config_path": "resources_servers/sums/configs/sums.yaml",
    }
    words = [f"+{key}={value}" for key, value in keys.items()]
    original(gym, "ng_upload_dataset_to_hf", *words, "+input_jsonl_fpath=train.jsonl")
    done = gym("dataset", "upload", *words, "-i", "held.jsonl")
    assert done.returncode == 0, done.stderr
    with urlopen(f"{hub}/state") as answer:
        state = json.load(answer)
    name = "acme/Nemotron-RL-math-sums"
    assert state["items"] == [name]
    assert sorted(state["repos"][name]["revisions"]["main"]) == ["held.jsonl", "train.jsonl"]
