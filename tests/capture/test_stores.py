"""Captured calls on disk and in memory: none lost, none mixed up, what is missing is known."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from pathlib import Path

import pytest

from nemo_gym.capture.stores import CaptureStore, FileCapture, MemoryCapture
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.model_call import ModelCall


def call(rollout_id: str, name: str) -> ModelCall:
    return ModelCall(
        rollout_id=rollout_id,
        model_call_id=name,
        dialect="chat",
        model_ref="policy_model",
        started_at=10.0,
        completed_at=11.5,
        latency_ms=1500.0,
        status_code=200,
        request={"messages": [{"role": "user", "content": "Grüße\n"}]},
        response={"choices": []},
        params={"input": "Grüße\n"},
        answer={"output": [{"type": "message", "role": "assistant", "content": "ok"}]},
    )


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CaptureStore:
    return MemoryCapture() if request.param == "memory" else FileCapture(tmp_path / "calls")


async def test_calls_come_back_in_order_and_by_rollout(store: CaptureStore) -> None:
    for name in ("a", "b"):
        await store.record(call("0-0", name))
    await store.record(call("0-1", "c"))
    captured = await store.read("0-0")
    assert captured.calls == [call("0-0", "a"), call("0-0", "b")]
    assert not captured.incomplete
    assert (await store.read("9-9")).calls == []


async def test_a_cleared_rollout_is_forgotten_and_the_others_are_not(store: CaptureStore) -> None:
    await store.record(call("0-0", "a"))
    await store.mark_incomplete("0-0")
    await store.record(call("0-1", "b"))
    await store.clear("0-0")
    await store.clear("never-seen")
    cleared = await store.read("0-0")
    assert (cleared.calls, cleared.incomplete) == ([], False)
    assert len((await store.read("0-1")).calls) == 1


async def test_a_rollout_marked_incomplete_says_so(store: CaptureStore) -> None:
    await store.record(call("0-0", "a"))
    await store.mark_incomplete("0-0")
    captured = await store.read("0-0")
    assert (len(captured.calls), captured.incomplete) == (1, True)


async def test_a_line_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    await FileCapture(tmp_path).record(call("3-1-a2", "a"))
    (line,) = (tmp_path / "3-1-a2.capture.jsonl").read_text().splitlines()
    fields = json.loads(line)
    wanted = {
        "model_call_id": "a", "dialect": "chat", "model_ref": "policy_model", "started_at": 10.0,
        "completed_at": 11.5, "latency_ms": 1500.0, "status_code": 200,
    }  # fmt: skip
    assert {name: fields[name] for name in wanted} == wanted
    assert fields["request"] == {"messages": [{"role": "user", "content": "Grüße\n"}]}
    assert "error_category" not in fields


async def test_a_torn_line_costs_no_other_call_and_is_known(tmp_path: Path) -> None:
    store = FileCapture(tmp_path)
    await store.record(call("0-0", "a"))
    with (tmp_path / "0-0.capture.jsonl").open("ab") as file:
        file.write(b'{"model_call_id": "to')
    await store.record(call("0-0", "b"))
    captured = await store.read("0-0")
    assert [made.model_call_id for made in captured.calls] == ["a", "b"]
    assert captured.incomplete


async def test_a_call_that_cannot_be_written_marks_its_rollout_and_raises_nothing(tmp_path: Path) -> None:
    store = FileCapture(tmp_path)
    (tmp_path / "0-0.capture.jsonl").mkdir()
    await store.record(call("0-0", "a"))
    assert (tmp_path / "0-0.capture.incomplete").exists()


def record_many(folder: Path, process: int) -> None:
    async def record() -> None:
        store = FileCapture(folder)
        await asyncio.gather(*(store.record(call("0-0", f"{process}-{n}")) for n in range(50)))

    asyncio.run(record())


async def test_several_processes_record_into_one_file_without_losing_a_call(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=record_many, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    captured = await FileCapture(tmp_path).read("0-0")
    assert {made.model_call_id for made in captured.calls} == {
        f"{p}-{n}" for p in range(3) for n in range(50)
    }
    assert not captured.incomplete


async def test_an_id_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rollout id"):
        await FileCapture(tmp_path).record(call("../outside", "a"))


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be created"):
        FileCapture(tmp_path / "file" / "calls")
