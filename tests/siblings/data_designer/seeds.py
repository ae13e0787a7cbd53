"""Tasks and rollouts as seed rows of the real Data Designer, and trajectories that its own reader reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from designer import generate

from nemo_gym.runs.result import Result
from nemo_gym.training.exports.export import export
from tests.support.schema_endpoint import SchemaEndpoint, schema_endpoint
from tests.support.trajectories import scored, tool_rollout

ASK = {"name": "hint", "column_type": "llm-text", "model_alias": "writer", "prompt": "{{ gym_prompt }}"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[SchemaEndpoint, str]]:
    answers = SchemaEndpoint()
    with schema_endpoint(answers) as url:
        yield answers, url


def write_run(folder: Path) -> Path:
    run = folder / "run.jsonl"
    rollouts = [
        *(tool_rollout(1.0, task=task, arguments=f'{{"city":"Oslo {task}"}}') for task in range(3)),
        scored(tool_rollout().response.output, reward=0.25, task=3),  # type: ignore[union-attr]
    ]
    run.write_bytes(b"".join(Result.of(one).line for one in rollouts))
    return run


def test_tasks_of_a_file_are_seed_rows_and_keep_every_value(
    endpoint: tuple[SchemaEndpoint, str], tmp_path: Path
) -> None:
    tasks = [
        {"task_id": f"t{n}", "responses_create_params": {"input": f"Question {n}?"}, "odd": [{"a": None}, n]}
        for n in range(4)
    ]
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in tasks))
    seed = {"source": {"seed_type": "gym-tasks", "path": str(path)}}

    records = generate(tmp_path, [ASK], 4, endpoint[1], seed_config=seed)

    assert [json.loads(one["gym_task"]) for one in records] == tasks
    assert [one["gym_task_id"] for one in records] == ["t0", "t1", "t2", "t3"]
    assert [one["gym_prompt"] for one in records] == [f"Question {n}?" for n in range(4)]


def test_an_environment_has_seed_rows_too(endpoint: tuple[SchemaEndpoint, str], tmp_path: Path) -> None:
    source = {"seed_type": "gym-tasks", "environment": "word_problems", "settings": {"level": 1}, "limit": 3}

    records = generate(tmp_path, [ASK], 3, endpoint[1], seed_config={"source": source})

    assert all(json.loads(one["gym_task"])["expected_answer"] for one in records)


def test_rollouts_are_seed_rows(endpoint: tuple[SchemaEndpoint, str], tmp_path: Path) -> None:
    source = {"seed_type": "gym-rollouts", "path": str(write_run(tmp_path)), "max_reward": 0.5}
    prompt = "Reward {{ gym_reward }}, said {{ gym_answer }}, first {{ gym_trace[0].role }}"
    column = {**ASK, "prompt": prompt}

    (record,) = generate(tmp_path, [column], 1, endpoint[1], seed_config={"source": source})

    assert (record["gym_reward"], record["gym_task_index"]) == (0.25, 3)
    assert json.loads(record["gym_trace"])[0]["role"] == "user"
    asked = [plain(one["messages"][-1]["content"]) for one in endpoint[0].requests]
    assert "Reward 0.25, said It rains (0)., first user" in asked


def test_a_rollout_exported_as_a_trajectory_is_read_back_by_its_own_reader(
    endpoint: tuple[SchemaEndpoint, str], tmp_path: Path
) -> None:
    folder = tmp_path / "trajectories"
    export(write_run(tmp_path), "atif", folder)
    source = {"seed_type": "agent_rollout", "format": "atif", "path": str(folder)}
    column = {**ASK, "prompt": "{{ final_assistant_message }}"}

    records = generate(tmp_path, [column], 3, endpoint[1], seed_config={"source": source})

    assert len(records) == 3
    for record in records:
        messages = messages_of(record)
        assert [one["role"] for one in messages][-3:] == ["assistant", "tool", "assistant"]
        (call,) = messages[-3]["tool_calls"]
        assert call["function"]["name"] == "weather"
        assert record["final_assistant_message"] == "It rains (0)."


def messages_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    messages = record["messages"]
    return json.loads(messages) if isinstance(messages, str) else messages


def plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
