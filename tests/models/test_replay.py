"""Recording a model and replaying the recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import ask
from nemo_gym.models.replay import RecordingModel, ReplayModel, request_digest
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import DataError, ModelRejected, UsageError
from nemo_gym.wire.items import function_call, function_call_output, user
from nemo_gym.wire.params import RequestParams


def counting() -> ScriptedModel:
    answers = iter(range(1000))
    return ScriptedModel(lambda params: f"answer {next(answers)}")


async def record(path: Path, *requests: RequestParams) -> list[str]:
    async with RecordingModel(counting(), path) as model:
        return [(await model.responses(request)).output_text for request in requests]


async def test_a_recording_replays_each_call_and_repeats_of_a_call_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "calls.jsonl"
    recorded = await record(path, ask("a"), ask("b"), ask("a"))

    model = ReplayModel(path)
    replayed = [(await model.responses(request)).output_text for request in (ask("b"), ask("a"), ask("a"))]

    assert [replayed[1], replayed[0], replayed[2]] == recorded


async def test_recording_goes_on_at_the_end_of_a_file_and_drops_a_line_torn_by_a_kill(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls.jsonl"
    await record(path, ask("a"))
    with path.open("a") as file:
        file.write('{"request":{"input":"b"},"respo')
    assert (await ReplayModel(path).responses(ask("a"))).output_text == "answer 0"

    await record(path, ask("c"))

    assert len(path.read_text().splitlines()) == 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (ask("What is 3 + 5?"), "input[0]"),
        ({**ask("What is 3 + 4?"), "temperature": 0.5}, "temperature: null recorded, 0.5 asked"),
        ({**ask("What is 3 + 4?"), "metadata": {"extra_body": '{"seed":2}'}}, "extra_body"),
        ({"input": [*ask("What is 3 + 4?")["input"], user("more")]}, "1 items recorded, 2 asked"),
    ],
)
async def test_an_unseen_call_is_refused_with_the_nearest_difference(
    tmp_path: Path, asked: RequestParams, place: str
) -> None:
    path = tmp_path / "calls.jsonl"
    await record(path, ask("What is 3 + 4?"))

    with pytest.raises(ModelRejected) as raised:
        await ReplayModel(path).responses(asked)

    assert place in str(raised.value)


async def test_a_broken_line_or_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"request": 1}\n')
    with pytest.raises(DataError, match=r"calls.jsonl:1: not a recorded call"):
        ReplayModel(path)
    with pytest.raises(UsageError, match="can't be read"):
        ReplayModel(tmp_path / "other.jsonl")


async def test_a_failed_call_is_not_recorded(tmp_path: Path) -> None:
    def refuse(params: RequestParams) -> str:
        raise ModelRejected("no")

    async with RecordingModel(ScriptedModel(refuse), tmp_path / "calls.jsonl") as model:
        with pytest.raises(ModelRejected):
            await model.responses(ask("a"))

    assert (tmp_path / "calls.jsonl").read_text() == ""


def test_ids_and_evidence_do_not_change_what_is_asked() -> None:
    def turn(call_id: str, **fields: Any) -> RequestParams:
        call = {**function_call("f", "{}", call_id=call_id), **fields}
        return {"input": [user("a"), call, function_call_output(call_id, "b")]}  # type: ignore[list-item]

    evidence = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.1]}
    assert request_digest(turn("x", id="1", **evidence)) == request_digest(turn("y"))


@given(st.dictionaries(st.text(), st.integers()), st.text())
def test_the_order_of_keys_does_not_change_what_is_asked(schema: dict[str, int], text: str) -> None:
    tools = [{"name": "f", "parameters": schema}]
    turned = [{"parameters": dict(reversed(schema.items())), "name": "f"}]
    one: Any = {"input": text, "tools": tools, "temperature": None}
    other: Any = {"tools": turned, "input": [{"role": "user", "content": text}]}
    assert request_digest(one) == request_digest(other)
