from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.runs.journal import AppendFile, Commit, Journal, JournalError, is_locked
from nemo_gym.wire.errors import UsageError

lines = st.lists(st.binary(max_size=200).map(lambda b: b.replace(b"\n", b" ") + b"\n"), max_size=20)


@given(whole=lines, torn=st.binary(max_size=100_000).map(lambda b: b.replace(b"\n", b"")))
def test_opening_cuts_off_exactly_the_torn_tail(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "out.jsonl"
    path.write_bytes(b"".join(whole) + torn)

    file = AppendFile(path)
    file.write(b"next\n")
    file.close()

    assert file.torn_bytes == len(torn)
    assert path.read_bytes() == b"".join(whole) + b"next\n"


def test_a_second_writer_is_refused_and_the_file_is_untouched(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"row\ntorn")
    first = AppendFile(tmp_path / "other.jsonl")
    holder = AppendFile(path)

    with pytest.raises(UsageError, match="being written by another run"):
        AppendFile(path)

    holder.close()
    first.close()


def test_a_failed_write_leaves_whole_lines_only(tmp_path: Path) -> None:
    """A file size limit behaves like a full disk: part of the data is written, then an error."""
    script = f"""
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
from collections.abc import Sequence
from pathlib import Path
from nemo_gym.runs.journal import AppendFile, JournalError
file = AppendFile(Path({str(tmp_path / "out.jsonl")!r}))
file.write(b"a" * 599 + b"\\n")
try:
    file.write(b"b" * 599 + b"\\n")
except JournalError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "can't be written: File too large" in done.stdout
    assert (tmp_path / "out.jsonl").read_bytes() == b"a" * 599 + b"\n"


def test_whole_lines_that_fit_are_kept_when_the_rest_does_not(tmp_path: Path) -> None:
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
from pathlib import Path
from nemo_gym.runs.journal import AppendFile, JournalError
file = AppendFile(Path({str(tmp_path / "out.jsonl")!r}))
for _ in range(2):
    try:
        file.write(b"".join(b"%099d\\n" % number for number in range(7)))
    except JournalError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "can't be written: File too large" in done.stdout
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    assert [int(line) for line in lines] == [*range(7), 0, 1, 2]


@pytest.mark.parametrize("kind", ["pipe", "folder", "missing"])
def test_what_is_no_file_to_append_to_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.jsonl"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path = tmp_path / "nowhere" / "out.jsonl"
    with pytest.raises(UsageError, match=r"out\.jsonl can't be written: "):
        AppendFile(path)


def test_a_file_is_locked_while_it_is_written_and_looking_does_not_disturb(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert not is_locked(path)
    file = AppendFile(path)
    assert is_locked(path)
    file.close()
    assert not is_locked(path)
    AppendFile(path).close()


async def test_rows_are_committed_in_order_and_by_kind(tmp_path: Path) -> None:
    async with Journal(tmp_path / "r.jsonl", tmp_path / "f.jsonl", interval=0.01) as journal:
        for number in range(100):
            journal.append(b"%d\n" % number, failed=number % 10 == 0)
            await asyncio.sleep(0)

    scored = [int(line) for line in (tmp_path / "r.jsonl").read_bytes().splitlines()]
    failed = [int(line) for line in (tmp_path / "f.jsonl").read_bytes().splitlines()]
    assert failed == list(range(0, 100, 10))
    assert scored == [number for number in range(100) if number % 10]


async def test_after_a_failed_commit_nothing_more_is_accepted(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = Journal(tmp_path / "r.jsonl", tmp_path / "f.jsonl", interval=0.01)
    async with journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(tmp_path / "r.jsonl") + 10, hard))
        try:
            journal.append(b"x" * 100 + b"\n", failed=False)
            while journal.error is None:
                await asyncio.sleep(0.001)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        with pytest.raises(JournalError):
            journal.append(b"y\n", failed=False)

    assert (tmp_path / "r.jsonl").read_bytes() == b""


async def test_whoever_waits_for_scored_rows_hears_of_them_once_they_are_on_disk(tmp_path: Path) -> None:
    rollouts, failures = tmp_path / "r.jsonl", tmp_path / "f.jsonl"
    told, errors = list[bytes](), list[Exception]()

    class Watch:
        async def on_commit(self, commit: Commit) -> None:
            assert rollouts.read_bytes().endswith(b"".join(commit.rollouts))
            assert failures.read_bytes().endswith(b"".join(commit.failures))
            told.extend(commit.rollouts)

    journal = Journal(rollouts, failures, interval=0.001)
    journal.subscribe(Watch(), on_failure=errors.append)
    async with journal:
        for number in range(5):
            journal.append(b"%d\n" % number, failed=False)
            journal.append(b"failed\n", failed=True)
            await asyncio.sleep(0)
    assert told == [b"%d\n" % number for number in range(5)]
    assert errors == []


class Listener:
    def __init__(self, problem: BaseException | None = None, *, hangs: bool = False) -> None:
        self.problem, self.hangs = problem, hangs
        self.commits: list[Commit] = []

    async def on_commit(self, commit: Commit) -> None:
        self.commits.append(commit)
        if self.hangs:
            await asyncio.Event().wait()
        if self.problem is not None:
            raise self.problem


@pytest.mark.parametrize(
    ("broken", "reported"),
    [
        (Listener(OSError("no space")), "no space"),
        (Listener(asyncio.CancelledError()), "it was cancelled"),
        (Listener(hangs=True), ""),
    ],
    ids=["raises", "is cancelled", "hangs"],
)
async def test_a_listener_that_fails_is_reported_once_and_costs_no_row(
    tmp_path: Path, broken: Listener, reported: str
) -> None:
    before, after = Listener(), Listener()
    problems: list[Exception] = []
    journal = Journal(tmp_path / "r.jsonl", tmp_path / "f.jsonl", interval=0.001)
    for listener in (before, broken, after):
        journal.subscribe(listener, on_failure=problems.append, patience=0.05)
    async with asyncio.timeout(60), journal:
        for number in range(3):
            journal.append(b"%d\n" % number, failed=number == 1)
            while len(after.commits) <= number:
                await asyncio.sleep(0.001)

    assert [str(problem) for problem in problems] == [reported]
    assert len(broken.commits) == 1
    expected = [([b"0\n"], []), ([], [b"1\n"]), ([b"2\n"], [])]
    assert before.commits == after.commits == expected
    assert (tmp_path / "r.jsonl").read_bytes() + (tmp_path / "f.jsonl").read_bytes() == b"0\n2\n1\n"


async def test_a_journal_that_is_cancelled_ends_though_a_listener_waits(tmp_path: Path) -> None:
    problems: list[Exception] = []
    journal = Journal(tmp_path / "r.jsonl", tmp_path / "f.jsonl", interval=0.001)
    waiting = Listener(hangs=True)
    journal.subscribe(waiting, on_failure=problems.append)

    async def cancelled() -> None:
        async with asyncio.timeout(60), journal:
            journal.append(b"0\n", failed=False)
            while not waiting.commits:
                await asyncio.sleep(0.001)
            assert journal._task is not None
            journal._task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await cancelled()
    assert problems == []
