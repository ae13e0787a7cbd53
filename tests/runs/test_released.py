"""What an environment's sessions had in common is released at the end of every run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_gym import Environment, collect
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from tests.support.started import until

ROW = {"responses_create_params": {"input": "Go."}}
FILE = """
import asyncio, os, pathlib
from nemo_gym import Environment

HERE = pathlib.Path(__file__).parent

class Held(Environment):
    async def verify(self, task, response, session):
        (HERE / f"begun-{os.getpid()}").touch()
        while (HERE / "wait").exists():
            await asyncio.sleep(0.01)
        return 1.0

    async def aclose(self):
        (HERE / f"released-{os.getpid()}").touch()
"""


class Shared(Environment):
    def __init__(self) -> None:
        super().__init__()
        self.released = 0

    def verify(self, task: object, response: object, session: object) -> float:
        return 1.0

    def aclose(self) -> None:
        self.released += 1


async def test_it_is_released_once_for_as_often_as_it_was_used() -> None:
    link = LocalEnvironment(environment := Shared())
    await link.aclose()
    assert environment.released == 0
    for times in (1, 2):
        async with link.session(ROW):
            pass
        await link.aclose()
        await link.aclose()
        assert environment.released == times


async def test_what_goes_wrong_with_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Shared):
        async def aclose(self) -> None:
            raise RuntimeError("stuck")

    link = LocalEnvironment(Broken())
    async with link.session(ROW):
        pass
    await link.aclose()
    assert "broken: aclose raised RuntimeError: stuck" in caplog.text


@pytest.mark.parametrize("answer", [lambda _: "fine", lambda _: 1 / 0], ids=["scored", "failed"])
async def test_a_collection_releases_it(answer: Callable[[object], str]) -> None:
    environment = Shared()
    assert [one async for one in collect(environment, ScriptedModel(answer), [ROW])]
    assert environment.released == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("interrupted", [False, True], ids=["to its end", "ctrl-c"])
def test_every_process_of_a_run_releases_its_own(tmp_path: Path, workers: int, interrupted: bool) -> None:
    (tmp_path / "held.py").write_text(FILE)
    (tmp_path / "tasks.jsonl").write_text(f"{json.dumps(ROW)}\n" * 4)
    if interrupted:
        (tmp_path / "wait").touch()
    words = ["run", "held.py", "--input", "tasks.jsonl", "--model-type", "random", "--workers", str(workers)]
    with subprocess.Popen(
        [sys.executable, "-m", "nemo_gym", *words, "--output", "out.jsonl"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert until(lambda: any(tmp_path.glob("begun-*")))
            if interrupted:
                process.send_signal(signal.SIGINT)
            process.wait(timeout=120)
        finally:
            process.kill()
    pids = {
        kind: {path.name[len(kind) :] for path in tmp_path.glob(f"{kind}*")} for kind in ("begun", "released")
    }
    assert pids["begun"]
    assert pids["begun"] == pids["released"]
