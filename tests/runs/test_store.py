"""The rows of a run, read while it goes on and afterwards."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.runs.result import Result
from nemo_gym.runs.store import EVERY, SCORED, RunStore, Selection
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout
from nemo_gym.wire.row_identity import KeyedLine

Row = dict[str, Any]
HANG_S = 60


def row(task: int, repeat: int = 0, agent: str = "a", **more: Any) -> Row:
    params = {"input": [{"role": "user", "content": "?"}]}
    stamps = {"_ng_task_index": task, "_ng_rollout_index": repeat, "agent_ref": {"name": agent}}
    return {"responses_create_params": params, **stamps, **more}


def failure(task: int, repeat: int = 0, kind: str = "model_error", **more: Any) -> Row:
    return row(task, repeat, _ng_failure_class=kind, _ng_failure_error="it failed", **more)


def lines(*rows: Row) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def store_of(folder: Path, rollouts: bytes = b"", failures: bytes = b"", inputs: bytes = b"") -> RunStore:
    store = RunStore(folder / "out.jsonl")
    for path, content in zip(
        (store.paths.rollouts, store.paths.failures, store.paths.inputs),
        (rollouts, failures, inputs),
        strict=True,
    ):
        path.write_bytes(content)
    return store


def decoded(rows: Iterator[KeyedLine] | list[KeyedLine]) -> list[Row]:
    return [json.loads(one.line) for one in rows]


def key(one: Row) -> tuple[int, int]:
    return one["_ng_task_index"], one["_ng_rollout_index"]


scores = st.builds(
    row,
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from("ab"),
    reward=st.sampled_from([0.0, 0.5, 1.0]),
    note=st.integers(0, 9),
)
defeats = st.builds(
    failure, st.integers(0, 3), st.integers(0, 2), st.sampled_from(["x", "y"]), note=st.integers(0, 9)
)
selections = st.builds(
    Selection,
    scored=st.booleans(),
    failed=st.booleans(),
    reward=st.none() | st.sampled_from([0.0, 0.5]),
    tasks=st.none() | st.frozensets(st.integers(0, 3)),
    repeats=st.none() | st.frozensets(st.integers(0, 2)),
    agent=st.sampled_from(["", "a", "b"]),
)


def naive(rollouts: list[Row], failures: list[Row], chosen: Selection) -> list[Row]:
    """All rows read at once: the last score of each rollout, else its last failure."""
    last = {key(one): one for one in [*(one for one in rollouts if "reward" not in one), *failures]}
    last |= {key(one): one for one in rollouts if "reward" in one}

    def takes(one: Row) -> bool:
        task, repeat = key(one)
        if chosen.tasks is not None and task not in chosen.tasks:
            return False
        if chosen.repeats is not None and repeat not in chosen.repeats:
            return False
        if chosen.agent not in ("", one["agent_ref"]["name"]):
            return False
        if "reward" not in one:
            return chosen.failed
        return chosen.scored and chosen.reward in (None, one["reward"])

    return sorted((one for one in last.values() if takes(one)), key=key)


@given(
    st.lists(scores | defeats, max_size=15), st.lists(defeats, max_size=10), selections, st.integers(0, 25)
)
def test_whatever_order_and_duplicates_the_lines_have_it_reads_what_a_naive_reader_does(
    tmp_path_factory: pytest.TempPathFactory,
    rollouts: list[Row],
    failures: list[Row],
    selection: Selection,
    early: int,
) -> None:
    store = store_of(tmp_path_factory.mktemp("run"), lines(*rollouts[:early]), lines(*failures[:early]))
    assert sorted(decoded(store.rows(selection)), key=key) == naive(
        rollouts[:early], failures[:early], selection
    )

    store.paths.rollouts.write_bytes(lines(*rollouts))
    with store.paths.failures.open("ab") as file:
        file.write(lines(*failures[early:]))
    expected = naive(rollouts, failures, selection)

    assert sorted(decoded(store.rows(selection)), key=key) == expected, "also of files that have grown"
    drawn, of = store.sample(99, selection)
    assert (decoded(drawn), of) == (expected, len(expected))
    for one in naive(rollouts, failures, EVERY):
        assert json.loads(store.row(*key(one)).line) == one
    for one in naive(rollouts, failures, SCORED):
        assert store.rollout(*key(one)).reward == one["reward"]


def test_rows_come_in_the_order_of_the_files_with_their_place(tmp_path: Path) -> None:
    store = store_of(tmp_path, lines(row(2, reward=1.0), row(0, reward=0.0)), lines(failure(1)))
    rows = list(store.rows())
    assert [(one.path.name, one.number, one.stamp.task_index) for one in rows] == [
        ("out.jsonl", 1, 2),
        ("out.jsonl", 2, 0),
        ("out_failures.jsonl", 1, 1),
    ]
    assert rows[1].place == f"{store.paths.rollouts}:2"
    assert store.row(0).place == rows[1].place, "one row knows its place as well"
    assert [rollout.task_index for rollout in store.rollouts()] == [2, 0]


def test_a_row_is_got_without_reading_the_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path, lines(*(row(task, reward=1.0) for task in range(20))))
    passes: list[Path] = []
    monkeypatch.setattr("nemo_gym.runs.store.keyed_lines", noting(passes))

    assert [store.rollout(task).task_index for task in (7, 3, 19)] == [7, 3, 19]
    assert passes == [store.paths.rollouts]
    with store.paths.rollouts.open("ab") as file:
        file.write(lines(row(20, reward=1.0)))
    assert store.rollout(20).task_index == 20


def noting(passes: list[Path]) -> Any:
    from nemo_gym.wire.row_identity import keyed_lines

    def noted(path: Path, *start: Any) -> Iterator[KeyedLine]:
        passes.append(path)
        return keyed_lines(path, *start)

    return noted


def test_a_planned_row_is_what_was_asked_for(tmp_path: Path) -> None:
    store = store_of(tmp_path, lines(row(1, reward=1.0, more=1)), b"", lines(row(0), row(1)))
    assert store.planned_row(1) == row(1)
    assert store.planned_row(2) is None
    assert [one.number for one in store.plan()] == [1, 2]
    store.paths.inputs.unlink()
    assert store.planned_row(1) is None


def test_errors_name_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl: there is no such run"):
        RunStore(tmp_path / "none.jsonl").row(0)
    store = store_of(tmp_path, lines(row(0, reward=1.0)))
    with pytest.raises(UsageError, match=r"out\.jsonl has no rollout of task 0, repeat 1"):
        store.row(0, 1)
    for broken in (
        b"[]\n",
        b"{\n",
        b'{"_ng_task_index": "a"}\n',
        b'{"_ng_task_index": ' + b"[" * 99999 + b"\n",
    ):
        store.paths.failures.write_bytes(lines(failure(1)) + broken)
        for _ in range(2):
            with pytest.raises(DataError, match=r"out_failures\.jsonl:2: not a row of a run: "):
                list(store.rows())
    store.paths.failures.write_bytes(lines(failure(1)) + b'{"_ng_task_in')
    assert len(list(store.rows())) == 2, "a torn last line is no row"
    odd = store_of(tmp_path, lines(row(0, reward=1.0), row(1, reward=1.0, ng_timing=5)))
    with pytest.raises(DataError, match=r"out\.jsonl: task 1, repeat 0 can't be shown: .* \(line 2\)"):
        list(odd.rollouts())


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    store = store_of(tmp_path, lines(row(0, reward=0.0), row(1, reward=0.0)))
    assert store.rollout(1).reward == 0.0
    store.paths.rollouts.write_bytes(lines(row(1, reward=1.0)))
    assert store.rollout(1).reward == 1.0
    with pytest.raises(UsageError, match="no rollout of task 0"):
        store.rollout(0)

    store.paths.rollouts.write_bytes(lines(row(5, reward=1.0)))
    with pytest.raises(
        DataError, match=r"out\.jsonl:1: the file was changed while it was read; read it again"
    ):
        store.rollout(1)
    assert store.rollout(5).task_index == 5


WRITER = """
import json, sys
from pathlib import Path
from nemo_gym.runs.journal import AppendFile
rollouts, failures = AppendFile(Path(sys.argv[1])), AppendFile(Path(sys.argv[2]))
print("open", flush=True)
for command in sys.stdin:
    name, content = json.loads(command)
    with open(sys.argv[1 if name == "rollouts" else 2], "ab", buffering=0) as file:
        file.write(content.encode())
    print("written", flush=True)
"""


class Writer:
    """Another process that writes a run, as it is asked to; it ends by being killed."""

    def __init__(self, store: RunStore) -> None:
        paths = store.paths
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(paths.rollouts), str(paths.failures)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._stdout.readline()

    def write(self, content: bytes, name: str = "rollouts") -> None:
        self._stdin.write(json.dumps([name, content.decode()]).encode() + b"\n")
        self._stdin.flush()
        assert self._stdout.readline() == b"written\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def writing(store: RunStore) -> Iterator[Writer]:
    writer = Writer(store)
    try:
        yield writer
    finally:
        writer.kill()


async def test_rows_are_followed_while_another_process_writes_them(tmp_path: Path) -> None:
    store = store_of(tmp_path, lines(row(0, reward=1.0)))
    first, second = lines(row(1, reward=1.0)), lines(failure(2))
    async with asyncio.timeout(HANG_S):
        with writing(store) as writer:
            rows = store.follow(interval=0.01)
            assert (await anext(rows)).name == "task 0, repeat 0"
            writer.write(first[:9])
            coming = asyncio.create_task(anext(rows))
            await asyncio.sleep(0.05)
            assert not coming.done(), "half a row is no row"
            writer.write(first[9:])
            assert (await coming).place == f"{store.paths.rollouts}:2"
            writer.write(second, "failures")
            assert (await anext(rows)).place == f"{store.paths.failures}:1"
            writer.write(lines(row(3, reward=1.0)) + b'{"torn')
            writer.kill()
            assert [one.name async for one in rows] == ["task 3, repeat 0"], "it ends as its process does"


async def test_a_run_that_nobody_writes_is_followed_to_its_end(tmp_path: Path) -> None:
    content = lines(row(0, reward=1.0), row(0, reward=0.0)) + lines(row(1, reward=1.0)).rstrip()
    store = store_of(tmp_path, content)
    store.paths.failures.unlink()
    assert [one.number async for one in store.follow()] == [1, 2, 3]
    with pytest.raises(UsageError, match="there is no such run"):
        await anext(RunStore(tmp_path / "none.jsonl").follow())


async def test_lines_of_other_programs_are_reported_or_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, b'\n{"id": 5}\n' + lines(row(0, reward=1.0)) + b"[]\n", lines(failure(1)))
    problems: list[DataError] = []
    names = [one.name async for one in store.follow(problem=problems.append)]
    assert names == ["task 0, repeat 0", "task 1, repeat 0"]
    assert [str(one).partition(": ")[0].rpartition(":")[2] for one in problems] == ["2", "4"]
    with pytest.raises(DataError, match=r"out\.jsonl:2: not a row of a run"):
        await anext(store.follow())


def test_token_ids_are_once_in_the_file_and_whole_in_what_is_read(tmp_path: Path) -> None:
    first = {
        **assistant("a"),
        "prompt_token_ids": [1],
        "generation_token_ids": [2],
        "generation_log_probs": [-1.0],
    }
    second = {**first, "prompt_token_ids": [1, 2, 3]}
    rollout = Rollout.scored(row(0), Response.of([first, second]), Reward(1.0))
    path = tmp_path / "run.jsonl"
    path.write_bytes(Result.of(rollout).line)

    (again,) = RunStore(path).rollouts()

    assert json.loads(path.read_text())["response"]["output"][1]["added_prompt_token_ids"] == [3]
    assert again.response is not None
    assert again.response.output == [first, second]
    assert [one.task_index for group in RunStore(path).groups() for one in group] == [0]
