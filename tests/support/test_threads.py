"""Threads for blocking work: as many as are needed, none that keeps anything from ending."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from nemo_gym.support import threads as module
from nemo_gym.support.threads import WorkerThreads

PATIENCE_S = 60.0


@pytest.fixture
def threads() -> Iterator[WorkerThreads]:
    made = WorkerThreads(4, "worker")
    yield made
    made.shutdown()


def names() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("worker_")]


def test_as_much_work_runs_at_once_as_there_may_be_threads(threads: WorkerThreads) -> None:
    barrier = threading.Barrier(4)
    futures = [threads.submit(barrier.wait, PATIENCE_S) for _ in range(8)]
    assert sorted(future.result(PATIENCE_S) for future in futures) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(names()) == 4
    threads.shutdown()
    assert names() == []


def test_a_free_thread_is_used_again(threads: WorkerThreads) -> None:
    first = threads.submit(threading.get_ident).result(PATIENCE_S)
    while threads._idle == 0:
        pass
    assert threads.submit(threading.get_ident).result(PATIENCE_S) == first


def test_what_the_work_raises_is_raised_by_its_future(threads: WorkerThreads) -> None:
    for kind in (LookupError, SystemExit, KeyboardInterrupt):

        def fail(kind: type[BaseException] = kind) -> None:
            raise kind("no")

        with pytest.raises(kind, match="no"):
            threads.submit(fail).result(PATIENCE_S)
    assert threads.submit(int, "7", base=8).result(PATIENCE_S) == 7


def test_another_thread_takes_the_place_of_one_whose_work_was_given_up() -> None:
    threads, stuck = WorkerThreads(1, "worker"), threading.Event()
    running = threading.Event()

    def hang() -> None:
        running.set()
        stuck.wait(PATIENCE_S)

    hung, waiting = threads.submit(hang), threads.submit(int, "1")
    assert running.wait(PATIENCE_S)
    threads.give_up(hung)
    assert waiting.result(PATIENCE_S) == 1
    later = threads.submit(int, "2")
    assert later.result(PATIENCE_S) == 2
    stuck.set()
    threads.shutdown()
    assert names() == []
    assert threads._unwanted == set()


def test_work_that_has_not_begun_can_be_given_up(threads: WorkerThreads) -> None:
    stuck = threading.Event()
    for _ in range(4):
        threads.submit(stuck.wait, PATIENCE_S)
    waiting = threads.submit(pytest.fail, "it ran")
    threads.give_up(waiting)
    with pytest.raises(CancelledError):
        waiting.result(0)
    stuck.set()


def test_a_thread_without_work_ends_by_itself(
    threads: WorkerThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.001)
    threads.submit(int).result(PATIENCE_S)
    for thread in list(threads._threads):
        thread.join(PATIENCE_S)
    assert names() == []
    assert threads.submit(int).result(PATIENCE_S) == 0


def test_much_short_work_is_all_done_while_threads_come_and_go(
    threads: WorkerThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    futures = [threads.submit(pow, number, 2) for number in range(2000)]
    assert [future.result(PATIENCE_S) for future in futures] == [number**2 for number in range(2000)]


async def test_closing_waits_for_work_only_so_long() -> None:
    threads, stuck = WorkerThreads(2, "worker"), threading.Event()
    threads.submit(stuck.wait, PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S / 2):
        assert await threads.aclose(0.01) == 1
    stuck.set()
    assert await threads.aclose(PATIENCE_S) == 0
    assert names() == []
    with pytest.raises(RuntimeError, match="the threads of worker are shut down"):
        threads.submit(int)


def test_work_that_never_ends_does_not_keep_the_process() -> None:
    code = (
        "import asyncio, threading\n"
        "from nemo_gym.support.threads import WorkerThreads\n"
        "threads = WorkerThreads(1, 'w')\n"
        "future = threads.submit(threading.Event().wait)\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.01):\n"
        "            await asyncio.wrap_future(future)\n"
        "    except TimeoutError:\n"
        "        threads.give_up(future)\n"
        "    print(await threads.aclose(0.01))\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
