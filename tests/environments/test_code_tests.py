"""Programs of a model on inputs: what comes back, and what a hostile program can't do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from nemo_gym.environments.code_script import decode, encode
from nemo_gym.environments.code_tests import CodeRunner, code_runner
from nemo_gym.sandbox import SandboxPool

IGNORES_SIGNALS = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        continue
while True:
    pass
"""


@asynccontextmanager
async def opened(code: str, function: str | None = None) -> AsyncGenerator[CodeRunner]:
    pool = SandboxPool()
    try:
        async with code_runner(pool, code, function=function) as runner:
            yield runner
    finally:
        await pool.aclose()


async def test_one_sandbox_runs_many_inputs_apart_from_each_other() -> None:
    code = "import builtins\nn = int(input())\nprint(n, hasattr(builtins, 'mark'))\nbuiltins.mark = 1"
    async with opened(code) as runner:
        runs = [await runner.run(f"{n}\n", seconds=5) for n in range(4)]
    assert [run.output for run in runs] == [f"{n} False\n" for n in range(4)]
    assert {run.status for run in runs} == {"ok"}


async def test_a_function_returns_plain_values_with_their_types() -> None:
    code = "def f(x, y): return x, {y: [1.5, True, None, b'a', 2j]}, {3}, float('inf')"
    async with opened(code, "f") as runner:
        run = await runner.call([(1, 2), "k"], seconds=5)
    assert run.value() == ((1, 2), {"k": [1.5, True, None, b"a", 2j]}, {3}, float("inf"))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while True: pass", "timeout"),
        (IGNORES_SIGNALS, "timeout"),
        ("import os\nos.close(1); os.close(2)\nwhile True: pass", "timeout"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", "limit"),
        ("import sys\nsys.exit(3)", "error"),
        ("x = 'x' * (1 << 40)", "error"),
        ("f(", "error"),
        ("\ud800", "error"),
        ("print(1)\0", "error"),
        ("(" * 100_000, "error"),
        ("import os\nfor each in (os.getppid(), os.getpid()): os.kill(each, 9)", "lost"),
    ],
    ids=["loop", "signals", "closed", "flood", "exit", "memory", "syntax", "lone", "nul", "deep", "kill"],
)  # fmt: skip
async def test_a_hostile_program_ends_with_its_reason(code: str, status: str) -> None:
    async with opened(code) as runner:
        run = await runner.run("", seconds=0.5)
    assert run.status == status


async def test_a_program_that_stops_its_script_gets_no_more_inputs() -> None:
    async with opened("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nprint(1)") as runner:
        runner_runs = [await runner.run("", seconds=-4.5) for _ in range(2)]
    assert [run.status for run in runner_runs] == ["timeout", "lost"]


async def test_a_process_that_is_left_behind_does_not_delay_the_answer() -> None:
    async with opened("import os, time\nif os.fork() == 0: time.sleep(60)\nelse: print(1)") as runner:
        run = await runner.run("", seconds=30)
    assert (run.status, run.output) == ("ok", "1\n")
    assert run.seconds < 20


@pytest.mark.parametrize("data", [["x", 1], ["list"], {"a": 1}, ["dict", [1]], ["set", [["list", []]]]])
def test_what_is_no_encoded_value_is_refused(data: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        decode(data)


def test_what_is_no_plain_value_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    for value in (object(), type("Int", (int,), {})(3), deep):
        with pytest.raises((TypeError, ValueError)):
            encode(value)
