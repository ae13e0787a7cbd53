"""Processes that answer lines and can be killed."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_gym.environments.line_workers import LineWorkers, NoAnswer

PROGRAM = """
import os, sys, time

def main():
    for line in sys.stdin:
        word = line.strip()
        if word == "sleep": time.sleep(60)
        if word == "die": os._exit(3)
        if word == "long": print("x" * (2 << 20))
        print(os.getpid() if word == "pid" else sys.argv[1] + word, flush=True)

"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LineWorkers]:
    (tmp_path / "line_program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    workers = LineWorkers("line_program", ["<"], b"ready\n")
    yield workers
    workers.close()


def pid_of(workers: LineWorkers) -> int:
    return int(workers.ask(b"pid\n", 30.0))


def is_alive(pid: int) -> bool:
    return Path("/proc", str(pid)).exists()


def test_a_worker_answers_line_after_line(workers: LineWorkers) -> None:
    first = pid_of(workers)
    assert workers.ask(b"hello\n", 30.0) == b"<hello\n"
    assert pid_of(workers) == first
    workers.close()
    assert not is_alive(first)
    assert pid_of(workers) != first


@pytest.mark.parametrize(("word", "timed_out"), [("sleep", True), ("die", False), ("long", True)])
def test_a_worker_without_an_answer_is_gone(workers: LineWorkers, word: str, timed_out: bool) -> None:
    first = pid_of(workers)
    with pytest.raises(NoAnswer) as caught:
        workers.ask(f"{word}\n".encode(), 0.3 if word == "sleep" else 30.0)
    assert caught.value.timed_out is timed_out
    assert not is_alive(first)
    assert pid_of(workers) != first


def test_an_idle_worker_that_has_ended_is_replaced(workers: LineWorkers) -> None:
    first = pid_of(workers)
    os.kill(first, 9)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert pid_of(workers) != first


def test_a_program_that_does_not_begin_is_an_error(workers: LineWorkers) -> None:
    with pytest.raises(OSError, match="did not begin"):
        LineWorkers("no_such_program", [], b"ready\n").ask(b"pid\n", 30.0)


def test_the_workers_end_with_their_owner(workers: LineWorkers) -> None:
    other = LineWorkers("line_program", ["<"], b"ready\n")
    pid = pid_of(other)
    del other
    gc.collect()
    assert not is_alive(pid)
