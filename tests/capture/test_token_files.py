"""Tokens in files: none lost, none half, what is missing is known, and nothing newer is dropped."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from nemo_gym.capture.token_files import Frozen, TokenFiles
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.model_call import TokenEntry


def entry(name: str, *, rollout_id: str = "0-0", tokens: int = 2) -> TokenEntry:
    return TokenEntry(
        rollout_id=rollout_id,
        model_call_id=name,
        model="m",
        prompt_token_ids=[1, 2],
        generation_token_ids=[3] * tokens,
        generation_log_probs=[-0.5] * tokens,
        output_items=[{"type": "message", "role": "assistant", "content": "ok"}],
        token_item_index=0,
        created_at=1.0,
    )


def names(store: TokenFiles, rollout_id: str = "0-0") -> list[str]:
    return [each.model_call_id for each in store.freeze(rollout_id).entries]


def test_entries_come_back_in_order_and_by_rollout(tmp_path: Path) -> None:
    store = TokenFiles(tmp_path)
    for name in ("a", "b"):
        store.put(entry(name))
    store.put(entry("c", rollout_id="0-1"))
    snapshot = store.freeze("0-0")
    assert snapshot.entries == (entry("a"), entry("b"))
    assert (snapshot.incomplete, snapshot.version) == (False, 2)
    assert names(store, "9-9") == []


def test_a_line_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    TokenFiles(tmp_path).put(entry("a"))
    (line,) = (tmp_path / "0-0.tokens.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {
        "schema_version", "rollout_id", "model_call_id", "model", "prompt_token_ids", "generation_token_ids",
        "generation_log_probs", "routed_experts", "output_items", "token_item_index", "created_at", "request",
    }  # fmt: skip
    assert json.loads(line)["schema_version"] == 1


def test_a_frozen_rollout_takes_nothing_and_stays_the_same_snapshot(tmp_path: Path) -> None:
    store = TokenFiles(tmp_path)
    store.put(entry("a"))
    first = store.freeze("0-0")
    with pytest.raises(Frozen, match="call late came too late"):
        TokenFiles(tmp_path).put(entry("late"))
    assert store.freeze("0-0") == first


def test_a_dropped_rollout_leaves_no_file(tmp_path: Path) -> None:
    store = TokenFiles(tmp_path)
    store.put(entry("a"))
    store.mark_incomplete("0-0")
    snapshot = store.freeze("0-0")
    assert snapshot.incomplete
    store.drop(snapshot)
    store.drop(snapshot)
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_of_an_earlier_run_drops_nothing_of_the_next(tmp_path: Path) -> None:
    store = TokenFiles(tmp_path)
    store.put(entry("old"))
    old = store.freeze("0-0")
    store.clear("0-0")
    store.put(entry("new"))
    store.drop(old)
    assert names(store) == ["new"]
    store.drop(old)
    assert names(store) == ["new"]


def test_a_torn_line_costs_no_other_entry_and_is_known(tmp_path: Path) -> None:
    store = TokenFiles(tmp_path)
    store.put(entry("a"))
    with (tmp_path / "0-0.tokens.jsonl").open("ab") as file:
        file.write(b'{"schema_version": 1, "rollout')
    store.put(entry("b"))
    snapshot = store.freeze("0-0")
    assert [each.model_call_id for each in snapshot.entries] == ["a", "b"]
    assert snapshot.incomplete


def test_the_same_entry_twice_is_one_and_two_of_a_name_are_a_missing_one(tmp_path: Path) -> None:
    store = TokenFiles(tmp_path)
    for made in (entry("a"), entry("a"), entry("b")):
        store.put(made)
    assert (names(store), store.freeze("0-0").incomplete) == (["a", "b"], False)
    store.clear("0-0")
    for made in (entry("a"), entry("a", tokens=3)):
        store.put(made)
    assert store.freeze("0-0").incomplete


def test_an_id_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rollout id"):
        TokenFiles(tmp_path).put(entry("a", rollout_id="../outside"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be created"):
        TokenFiles(tmp_path / "file" / "tokens")


def put_many(folder: Path, process: int) -> None:
    store = TokenFiles(folder)
    for number in range(40):
        store.put(entry(f"{process}-{number}", tokens=200))


def test_several_processes_put_into_one_file_without_losing_an_entry(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=put_many, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    snapshot = TokenFiles(tmp_path).freeze("0-0")
    assert {each.model_call_id for each in snapshot.entries} == {
        f"{p}-{n}" for p in range(3) for n in range(40)
    }
    assert not snapshot.incomplete


def put_and_tell(folder: Path, told: Connection) -> None:
    store = TokenFiles(folder)
    for number in range(10_000):
        store.put(entry(str(number), tokens=2000))
        told.send(number)


def test_what_put_returned_for_outlives_a_kill_and_the_next_process_goes_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    heard, told = context.Pipe(duplex=False)
    writer = context.Process(target=put_and_tell, args=(tmp_path, told))
    writer.start()
    told.close()
    last = -1
    while last < 20:
        last = heard.recv()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    try:
        while True:
            last = heard.recv()
    except EOFError:
        pass
    writer.join()
    store = TokenFiles(tmp_path)
    store.put(entry("after"))
    kept = names(store)
    assert kept[: last + 1] == [str(number) for number in range(last + 1)]
    assert kept[-1] == "after"
