"""An event loop in a thread: results, limits, cancellation, the end, forks, and the end of the program."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from nemo_gym.support import loop_thread as module
from nemo_gym.support.loop_thread import LoopThread
from tests.support.programs import FORK, run_program

PATIENCE_S = 30.0


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[LoopThread]:
    made = LoopThread("worker", request.param)
    yield made
    made.close()


def names() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "worker"]


async def name() -> str:
    return threading.current_thread().name


async def fail(error: BaseException) -> None:
    raise error


class Endless:
    """Work that runs until it is cancelled."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.has_ended = threading.Event()

    async def run(self) -> None:
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.has_ended.set()


def test_the_thread_starts_with_the_first_work_and_ends_with_close(loop: LoopThread) -> None:
    assert names() == []
    assert loop.run(name()) == "worker"
    assert loop.submit(name()).result(PATIENCE_S) == "worker"
    assert names() == ["worker"]
    loop.close()
    assert names() == []


def test_many_threads_start_one_loop(loop: LoopThread) -> None:
    barrier = threading.Barrier(8)

    async def own_loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def first_work(_: int) -> asyncio.AbstractEventLoop:
        barrier.wait(PATIENCE_S)
        return loop.run(own_loop())

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(first_work, range(8)))) == 1
    assert names() == ["worker"]


def test_what_the_work_raises_is_raised(loop: LoopThread) -> None:
    for error in (LookupError("no"), TimeoutError("its own"), SystemExit(3), KeyboardInterrupt("it")):
        with pytest.raises(type(error)) as raised:
            loop.run(fail(error), within=PATIENCE_S)
        assert raised.value.args == error.args
    assert loop.run(name()) == "worker"


def test_work_that_exits_leaves_the_other_work_alone(loop: LoopThread) -> None:
    other, go = Endless(), asyncio.Event()
    waiting = loop.submit(other.run())
    released = loop.submit(go.wait())
    assert other.has_begun.wait(PATIENCE_S)
    with pytest.raises(SystemExit):
        loop.run(fail(SystemExit(1)))

    async def release() -> None:
        go.set()

    loop.run(release())
    assert released.result(PATIENCE_S)
    assert not waiting.done()


def test_work_that_takes_too_long_is_cancelled(loop: LoopThread) -> None:
    work = Endless()
    with pytest.raises(TimeoutError, match=r"^worker: it took more than 0\.01 seconds$"):
        loop.run(work.run(), within=0.01)
    loop.close()
    assert work.has_ended.is_set() == work.has_begun.is_set()


def test_an_interruption_of_the_waiting_thread_cancels_the_work(
    loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, is_waiting = Endless(), threading.Event()

    def wait(*arguments: Any) -> Any:
        is_waiting.set()
        return concurrent.futures.wait(*arguments)

    def interrupt() -> None:
        assert work.has_begun.wait(PATIENCE_S)
        assert is_waiting.wait(PATIENCE_S)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    monkeypatch.setattr(module, "wait", wait)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        loop.run(work.run(), within=PATIENCE_S)
    interrupter.join()
    assert work.has_ended.wait(PATIENCE_S)
    assert loop.run(name()) == "worker"


def test_a_future_can_be_cancelled(loop: LoopThread) -> None:
    work = Endless()
    future = loop.submit(work.run())
    assert work.has_begun.wait(PATIENCE_S)
    future.cancel()
    assert work.has_ended.wait(PATIENCE_S)


def test_its_own_thread_can_submit_but_not_wait_or_close(loop: LoopThread) -> None:
    async def submit() -> str:
        return await asyncio.wrap_future(loop.submit(name()))

    async def wait() -> None:
        loop.run(name())

    async def close() -> None:
        loop.close()

    assert loop.run(submit()) == "worker"
    with pytest.raises(RuntimeError, match="worker: its event loop can't wait for itself: await the work"):
        loop.run(wait(), within=PATIENCE_S)
    with pytest.raises(RuntimeError, match="worker: its event loop can't close itself"):
        loop.run(close(), within=PATIENCE_S)
    assert loop.run(name()) == "worker"


@pytest.mark.parametrize("started", [False, True])
def test_a_closed_loop_takes_no_work_and_may_be_closed_again(loop: LoopThread, started: bool) -> None:
    if started:
        loop.run(name())
    loop.close()
    loop.close()
    for give in (loop.run, loop.submit):
        with pytest.raises(RuntimeError, match=r"^worker: its event loop is closed$"):
            give(name())


def test_close_cancels_what_runs_and_waits_for_its_clean_up(loop: LoopThread) -> None:
    works = [Endless() for _ in range(2)]
    futures = [loop.submit(work.run()) for work in works]
    assert all(work.has_begun.wait(PATIENCE_S) for work in works)
    loop.close()
    assert all(work.has_ended.is_set() for work in works)
    for future in futures:
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(0)


def test_close_does_not_cut_the_clean_up_of_cancelled_work_short(loop: LoopThread) -> None:
    begun, cleaning, ends = threading.Event(), threading.Event(), list[str]()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            for _ in range(10):
                await asyncio.sleep(0)
            ends.append("clean")

    future = loop.submit(work())
    assert begun.wait(PATIENCE_S)
    future.cancel()
    assert cleaning.wait(PATIENCE_S)
    loop.close()
    assert ends == ["clean"]


def test_no_work_is_lost_when_another_thread_closes(loop: LoopThread) -> None:
    futures: list[concurrent.futures.Future[str]] = []
    running = threading.Event()

    def submit_until_closed() -> None:
        while True:
            try:
                futures.append(loop.submit(name()))
            except RuntimeError:
                return
            if len(futures) > 100:
                running.set()

    threads = [threading.Thread(target=submit_until_closed) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert running.wait(PATIENCE_S)
    loop.close()
    for thread in threads:
        thread.join()
    assert all(future.done() for future in futures)


START = """
import asyncio, concurrent.futures, os, sys, threading
from nemo_gym.support import loop_thread
from nemo_gym.support.loop_thread import LoopThread

async def process():
    return os.getpid()

async def endless():
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("clean", flush=True)

def wait_quietly():
    try:
        loop.run(endless())
    except concurrent.futures.CancelledError:
        pass

loop = LoopThread("worker")
"""


def program(*lines: str) -> str:
    return FORK + START + "\n".join(lines)


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    code = program(
        "assert loop.run(process()) == os.getpid()",
        "parent = loop.submit(endless())",
        "def check():",
        "    is_of_parent = loop.is_inherited",
        "    own = loop.run(process()) == os.getpid()",
        "    return is_of_parent and own and not loop.is_inherited",
        "in_child(check)",
        "in_child(lambda: loop.close() is None)",
        "assert loop.run(process()) == os.getpid()",
        "assert not loop.is_inherited and not parent.done()",
        "loop.close()",
    )
    assert run_program(code) == (0, "clean\n", "")


def test_a_fork_inside_of_work_has_a_loop_of_its_own() -> None:
    code = program(
        "async def fork():",
        "    in_child(lambda: loop.run(process()) == os.getpid())",
        "    in_child(sys.exit)",
        "    in_child(lambda: loop.close() is None)",
        "loop.run(fork())",
        "assert loop.run(process()) == os.getpid()",
    )
    assert run_program(code) == (0, "", "")


def test_the_end_of_a_forked_child_leaves_the_loop_of_its_parent_alone() -> None:
    code = program(
        "loop.run(process())",
        "if not (pid := os.fork()):",
        "    sys.exit(3)",
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3",
        "assert loop.run(process()) == os.getpid()",
    )
    assert run_program(code) == (0, "", "")


def test_a_fork_while_other_threads_give_work_leaves_the_child_able_to() -> None:
    code = program(
        "stop = threading.Event()",
        "def submit():",
        "    while not stop.is_set():",
        "        loop.submit(process()).result()",
        "threads = [threading.Thread(target=submit) for _ in range(3)]",
        "for thread in threads: thread.start()",
        "try:",
        "    for _ in range(60):",
        "        in_child(lambda: loop.run(process()) == os.getpid())",
        "finally:",
        "    stop.set()",
    )
    assert run_program(code) == (0, "", "")


ENDS: dict[str, tuple[str, ...]] = {
    "the program ends": (),
    "the program fails": ("raise SystemExit(0)",),
    "another thread waits": ("threading.Thread(target=wait_quietly, daemon=True).start()",),
}


@pytest.mark.parametrize("lines", ENDS.values(), ids=ENDS)
def test_the_end_of_the_program_ends_the_loop(lines: tuple[str, ...]) -> None:
    code, output, errors = run_program(program("loop.submit(endless())", "loop.run(process())", *lines))
    assert (code, set(output.split()), errors) == (0, {"clean"}, "")


def test_work_that_refuses_to_end_does_not_keep_the_program() -> None:
    code = program(
        "loop_thread.EXIT_S = 0.01",
        "async def stubborn():",
        "    while True:",
        "        try:",
        "            await asyncio.Event().wait()",
        "        except asyncio.CancelledError:",
        "            pass",
        "loop.submit(stubborn())",
        "loop.run(process())",
    )
    assert run_program(code) == (0, "", "")
