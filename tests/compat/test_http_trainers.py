"""Trainers that use nothing but HTTP (CONTRACT 11.5): TRL's and Axolotl's way through the head server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nemo_gym.environments.environment_info import library
from tests.compat.trainer import TRAINING, free_port, message_log
from tests.conftest import StartEndpoint

CONFIGS = (
    "resources_servers/example_multi_step/configs/example_multi_step.yaml",
    "resources_servers/mcqa/configs/mcqa.yaml",
    TRAINING,
)
NG_RUN = "import sys; sys.argv[0] = 'ng_run'; from nemo_gym.cli.legacy import main; main()"


@pytest.fixture
def head(start_endpoint: StartEndpoint) -> Iterator[str]:
    """The head server of a gym that was started as these trainers start it."""
    port = free_port()
    words = [
        f"+config_paths=[{','.join(CONFIGS)}]",
        f"+policy_base_url={start_endpoint('token_server.py')}",
        "+policy_api_key=EMPTY",
        "+policy_model_name=policy",
        f"+head_server.port={port}",
    ]
    process = subprocess.Popen([sys.executable, "-c", NG_RUN, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if "ready" in line:
                break
        yield f"http://127.0.0.1:{port}"
        os.kill(process.pid, signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 0


def test_the_head_server_leads_to_agents_that_return_tokens(head: str) -> None:
    config = merged_config(head)
    agents = {
        name: f"http://{agent['host']}:{agent['port']}"
        for name, value in config.items()
        if isinstance(value, dict)
        for agent in value.get("responses_api_agents", {}).values()
    }
    assert sorted(agents) == ["example_multi_step_simple_agent", "mcqa_simple_agent"]
    row = first_row("example_multi_step")
    row["responses_create_params"] |= {"max_output_tokens": 4096, "temperature": 1.0, "top_p": 0.95}
    result = post(f"{agents['example_multi_step_simple_agent']}/run", row)
    assert len(message_log(result)) >= 10
    assert result["reward"] == 1.0


def test_an_answer_of_the_trainers_own_is_scored_without_a_session(head: str) -> None:
    config = merged_config(head)
    server = config["mcqa"]["resources_servers"]["mcqa"]
    url = f"http://{server['host']}:{server['port']}"
    assert get(f"{url}/") == {"status": "ok"}
    row = first_row("mcqa")
    extra = {key: value for key, value in row.items() if key != "responses_create_params"}
    rewards = [
        post(f"{url}/verify", {**extra, **row, "response": synthetic(f"It is \\boxed{{{letter}}}.")})[
            "reward"
        ]
        for letter in "ABCD"
    ]
    assert rewards == [float(letter == row["expected_answer"]) for letter in "ABCD"]


def merged_config(head: str) -> dict[str, Any]:
    """The configuration, which is YAML in a string of YAML."""
    with urllib.request.urlopen(f"{head}/global_config_dict_yaml") as answer:
        found = yaml.safe_load(answer.read())
    return yaml.safe_load(found) if isinstance(found, str) else found


def synthetic(text: str) -> dict[str, Any]:
    """A response with one assistant message, as a trainer makes it from its own completion."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"id": "msg", "role": "assistant", "type": "message", "status": "completed", "content": content}
    return {
        "id": "resp",
        "created_at": 0,
        "model": "trainer",
        "object": "response",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def first_row(environment: str) -> dict[str, Any]:
    """An example of a built-in environment."""
    path: Path = library()[environment] / "data" / "example.jsonl"
    return json.loads(path.read_text().splitlines()[0])


def get(url: str) -> Any:
    """The JSON at a URL."""
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that a URL answers to a JSON body."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
