"""The columns `gym-verify` and `gym-rollout`, and our route as a remote validator, with the real package."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from designer import generate, program, write_config

from nemo_gym.environments.answer_verdict import answer_verdict
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.options import AppOptions
from tests.support.schema_endpoint import SchemaEndpoint, schema_endpoint

RECORDS = 24
FAULTY = """
from nemo_gym import Environment, Response, Reward, Session, Task


class Faulty(Environment):
    \"\"\"Say the word.\"\"\"

    class Task(Task):
        word: str

    reward_components = {"word": (0.0, 0.75), "length": (0.0, 0.25)}

    def verify(self, task: Task, response: Response, session: Session) -> dict[str, float]:
        if "crash" in response.final_text:
            raise LookupError("the verifier is broken")
        return {"word": 0.75 * (task.word in response.final_text), "length": 0.25}
"""


def say(prompt: str, rng: random.Random) -> str:
    if "\\boxed" in prompt:
        return f"It is \\boxed{{{rng.choice((7, 8))}}}."
    return rng.choice(("It is amber.", "It is copper.", "crash"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with schema_endpoint(SchemaEndpoint(text=say)) as url:
        yield url


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    path = tmp_path / "faulty.py"
    path.write_text(FAULTY)
    return str(path)


def word_columns(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": "word",
            "column_type": "sampler",
            "sampler_type": "category",
            "params": {"values": ["amber", "copper"]},
        },
        {"name": "number", "column_type": "sampler", "sampler_type": "uuid", "params": {}},
        {
            "name": "said",
            "column_type": "llm-text",
            "model_alias": "writer",
            "prompt": "Say {{ word }} to {{ number }}.",
        },
        *more,
    ]


def own_verdicts(environment: str, records: list[dict[str, Any]]) -> list[Any]:
    async def verdicts() -> list[Any]:
        link = LocalEnvironment(find_environment(environment)())
        rows = [{"word": one["word"], "responses_create_params": {"input": "Say it."}} for one in records]
        return [
            await answer_verdict(link, row, record["said"]) for row, record in zip(rows, records, strict=True)
        ]

    return asyncio.run(verdicts())


def test_the_column_has_our_own_verdict_and_a_failing_verifier_keeps_its_row(
    faulty: str, url: str, tmp_path: Path
) -> None:
    mapping = {
        "environment": faulty,
        "input": [{"role": "user", "content": "Say it."}],
        "fields": {"word": "word"},
    }
    column = {"name": "check", "column_type": "gym-verify", "mapping": mapping, "answer": "said"}

    records = generate(tmp_path, word_columns(column), RECORDS, url)

    assert len(records) == RECORDS
    kinds = set()
    for record, verdict in zip(records, own_verdicts(faulty, records), strict=True):
        kinds.add(verdict.is_valid)
        if verdict.is_valid is None:
            assert record["check"] is None
            assert record["check__error"] == verdict.reason
            assert "the verifier is broken" in verdict.reason
        else:
            assert record["check__error"] is None
            assert record["check"] == {
                "is_valid": verdict.is_valid,
                "reward": verdict.reward,
                "reward_components": verdict.reward_components,
                "reason": verdict.reason,
            }
    assert kinds == {True, False, None}


def test_our_route_is_its_remote_validator(faulty: str, url: str, tmp_path: Path) -> None:
    with served(faulty) as server:
        column = {
            "name": "check",
            "column_type": "validation",
            "target_columns": ["word", "said"],
            "validator_type": "remote",
            "validator_params": {"endpoint_url": f"{server}/data_designer/validate?answer=said"},
            "batch_size": 5,
        }
        records = generate(tmp_path, word_columns(column), RECORDS, url)

    assert len(records) == RECORDS
    for record, verdict in zip(records, own_verdicts(faulty, records), strict=True):
        assert record["check"]["is_valid"] == verdict.is_valid
        assert record["check"]["reward"] == verdict.reward
        assert record["check"]["reason"] == verdict.reason


def test_a_rollout_column_has_the_reward_and_the_conversation(url: str, tmp_path: Path) -> None:
    columns = [
        {
            "name": "answer",
            "column_type": "sampler",
            "sampler_type": "category",
            "params": {"values": ["7", "8", " "]},
        },
        {"name": "number", "column_type": "sampler", "sampler_type": "uuid", "params": {}},
        {
            "name": "played",
            "column_type": "gym-rollout",
            "model_alias": "writer",
            "mapping": {
                "environment": "word_problems",
                "input": [{"role": "user", "content": "{{ number }}: say \\boxed{}."}],
                "fields": {"question": "number", "expected_answer": "answer"},
            },
        },
    ]

    records = generate(tmp_path, columns, RECORDS, url)

    assert len(records) == RECORDS
    rewards = set()
    for record in records:
        if record["answer"] == " ":
            assert record["played"] is None
            assert "expected_answer is blank" in record["played__error"]
            continue
        played = record["played"]
        rewards.add(played["reward"])
        assert played["reward"] == float(f"{{{record['answer']}}}" in played["answer"])
        assert [one["role"] for one in record["played__trace"]] == ["user", "assistant"]
        assert record["played__trace"][1]["content"][0]["text"] == played["answer"]
        assert record["played__error"] is None
    assert rewards == {0.0, 1.0}


def test_a_configuration_with_a_wrong_mapping_is_refused(tmp_path: Path) -> None:
    column = {"name": "check", "column_type": "gym-verify", "mapping": "math_word_problem", "answer": "said"}

    ended = program("gym", "data-designer", "validate", write_config(tmp_path, word_columns(column)))

    assert ended.returncode == 2
    assert "Did you mean 'math_word_problems'?" in ended.stderr.splitlines()[-1]


class served:
    """An environment's server, in a thread."""

    def __init__(self, environment: str) -> None:
        link = LocalEnvironment(find_environment(environment)())
        app = environment_app(link, "faulty", AppOptions())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
