"""Programs run to their end: bounded output, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from nemo_gym.runs.loop import new_event_loop
from nemo_gym.support.processes import Ended, clean_environment, run_program
from tests.support.processes import until_dead
from tests.support.virtual_time import run_out_of_time


async def run_python(code: str, folder: Path, *, seconds: float = 60.0, **options: object) -> Ended:
    argv = [sys.executable, "-I", "-S", "-c", code]
    env = clean_environment(folder)
    return await run_program(argv, folder=folder, env=env, seconds=seconds, **options)  # type: ignore[arg-type]


async def test_a_program_gets_its_folder_its_input_and_only_its_own_environment(tmp_path: Path) -> None:
    os.environ["VERY_SECRET"] = "hunter2"
    code = (
        "import os, sys; print(os.getcwd()); print(sys.stdin.read()); "
        "print('VERY_SECRET' in os.environ, os.environ['HOME'])"
    )
    try:
        ended = await run_python(code, tmp_path, stdin=b"hello")
    finally:
        del os.environ["VERY_SECRET"]
    assert ended.exit_code == 0
    assert ended.stdout.split() == [str(tmp_path), "hello", "False", str(tmp_path)]


async def test_exit_codes_and_signals_are_told_apart(tmp_path: Path) -> None:
    assert (await run_python("raise SystemExit(3)", tmp_path)).exit_code == 3
    assert (await run_python("import os; os.kill(os.getpid(), 9)", tmp_path)).exit_code == -9


async def test_both_ends_of_long_output_are_kept(tmp_path: Path) -> None:
    code = "print('begin'); print('x' * 1_000_000); print('end')"
    ended = await run_python(code, tmp_path, keep_bytes=100)
    assert len(ended.stdout) < 200
    assert ended.stdout.startswith("begin\nxx")
    assert "bytes left out" in ended.stdout
    assert ended.stdout.endswith("xx\nend\n")


async def test_a_program_out_of_time_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\nopen('told', 'x')\ntime.sleep(600)"
    )
    ended = await run_out_of_time(run_python(code, tmp_path), once=(tmp_path / "told").exists)
    assert ended.exit_code is None
    assert await until_dead(int(ended.stdout))


def test_a_child_that_leaves_the_group_and_holds_the_pipes_holds_nobody_up(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        "print(child.pid, flush=True)"
    )
    for factory in (asyncio.new_event_loop, new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            ended = runner.run(run_python(code, tmp_path, seconds=600))
        os.kill(int(ended.stdout), 9)
        assert ended.exit_code == 0
        assert ended.seconds < 300


async def test_cancelling_kills_the_program(tmp_path: Path) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(run_python(code, tmp_path, seconds=600))
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await until_dead(int((tmp_path / "pid").read_text()))


async def test_a_program_that_is_missing_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no_such_program"):
        await run_program(["no_such_program"], folder=tmp_path, env={"PATH": "/usr/bin"}, seconds=5)
