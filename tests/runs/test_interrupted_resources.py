"""After Ctrl-C no sandbox, no folder and no thread of an environment is left, in whatever process it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.started import PATIENCE_S, Gym, until

FILE = '''
import atexit, os, pathlib, threading, time
import nemo_gym as gym

HERE = pathlib.Path(__file__).parent


def note_threads():
    names = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
    (HERE / f"ended-{os.getpid()}").write_text("\\n".join(names))


class Busy(gym.Environment):
    """Half of its rollouts are busy in a sandbox, the others in a thread."""

    async def seed(self, task, session):
        if not (HERE / f"pid-{os.getpid()}").exists():
            atexit.register(note_threads)
            (HERE / f"pid-{os.getpid()}").touch()
        held = await session.sandbox()
        await held.exec(f"sleep {os.environ['SECONDS_ASLEEP']} >/dev/null 2>&1 &")
        if session.row["_ng_task_index"] % 2:
            (HERE / f"sandbox-{session.row['_ng_task_index']}").touch()
            await held.exec(f"exec sleep {os.environ['SECONDS_ASLEEP']}", timeout_s=None)

    @gym.blocking
    def verify(self, task, response, session):
        (HERE / f"thread-{session.row['_ng_task_index']}").touch()
        while not (HERE / "go").exists():
            time.sleep(0.01)
        return 1.0
'''
COLLECT = """
import asyncio
from busy import Busy
import nemo_gym as gym
from nemo_gym.sandbox.config import allow_unsafe

allow_unsafe()

async def main():
    rows = [{"responses_create_params": {"input": "Go."}}] * 4
    async for _ in gym.collect(Busy(), "random", rows, concurrency=4, max_sandboxes=4):
        pass

asyncio.run(main())
"""
LATE_SIGNAL = """
import _thread, asyncio, threading, time
import nemo_gym as gym

waiting = threading.Event()

class Waits(gym.Environment):
    async def verify(self, task, response, session):
        waiting.set()
        await asyncio.Event().wait()

def interrupt():
    "A signal that doesn't end the loop's wait, as if it had come just before."
    waiting.wait()
    time.sleep(0.2)
    _thread.interrupt_main()

async def main():
    threading.Thread(target=interrupt, daemon=True).start()
    async for _ in gym.collect(Waits(), "random", [{"responses_create_params": {"input": "Go."}}]):
        pass

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
RUN = "-m nemo_gym --allow-unsafe run busy.py --input tasks.jsonl --model-type random --output out.jsonl"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The folder for temporary files of the processes that are started."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def sleepers(seconds: str) -> list[str]:
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"sleep\0{seconds}".encode() in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize(
    "words",
    [
        [*RUN.split(), "--concurrency", "4", "--max-sandboxes", "4"],
        [*RUN.split(), "--concurrency", "4", "--max-sandboxes", "4", "--workers", "2"],
        ["collect.py"],
    ],
    ids=["run", "workers", "collect"],
)
def test_nothing_is_left_after_ctrl_c(tmp_path: Path, temporary: Path, words: list[str]) -> None:
    (tmp_path / "busy.py").write_text(FILE)
    (tmp_path / "collect.py").write_text(COLLECT)
    seconds = f"1234.{uuid4().int % 10**9}"
    row = json.dumps({"responses_create_params": {"input": "Go."}})
    (tmp_path / "tasks.jsonl").write_text(f"{row}\n" * 4)
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary), "SECONDS_ASLEEP": seconds},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            begun = until(
                lambda: len(list(tmp_path.glob("sandbox-*")) + list(tmp_path.glob("thread-*"))) == 4
            )
            assert begun, process.kill() or process.communicate()[1]
            assert until(lambda: len(sleepers(seconds)) >= 4)
            assert any(temporary.iterdir())
            (tmp_path / "go").touch()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    check_nothing_is_left(tmp_path, temporary, seconds)


def test_ctrl_c_ends_a_collect_that_begins_to_wait_at_that_moment(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE_SIGNAL)
    words = [sys.executable, "late.py"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.stdout == "interrupted\n", ended.stderr


def test_nothing_is_left_after_ctrl_c_to_a_server(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "busy.py").write_text(FILE)
    gym, seconds = Gym(tmp_path), f"1234.{uuid4().int % 10**9}"
    places = {"TMPDIR": str(temporary), "SECONDS_ASLEEP": seconds}
    words = [tmp_path / "busy.py", "--model-type", "random", "--allow-unsafe"]
    with gym.foreground(*words, **places) as process, httpx.Client(timeout=PATIENCE_S) as client:
        url = gym.servers()["busy"]["url"]
        for _ in range(2):
            row = {"responses_create_params": {"input": "Go."}, "_ng_task_index": 0}
            client.cookies.clear()
            assert client.post(f"{url}/seed_session", json=row).status_code == 200
        assert until(lambda: len(sleepers(seconds)) >= 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    check_nothing_is_left(tmp_path, temporary, seconds)


def check_nothing_is_left(tmp_path: Path, temporary: Path, seconds: str) -> None:
    assert until(lambda: sleepers(seconds) == [])
    assert list(temporary.iterdir()) == []
    pids = [path.name.removeprefix("pid-") for path in tmp_path.glob("pid-*")]
    assert pids
    assert {pid: (tmp_path / f"ended-{pid}").read_text() for pid in pids} == dict.fromkeys(pids, "")
