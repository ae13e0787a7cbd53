"""Programs of a model on inputs: what comes back, and what a hostile program can't do."""

from __future__ import annotations

import pytest

from nemo_gym.environments import code_tests
from nemo_gym.environments.code_script import decode, encode
from nemo_gym.environments.code_tests import CodeCase, CodeRun, run_cases
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


async def runs_of(code: str, cases: list[CodeCase], function: str | None = None) -> list[CodeRun]:
    pool = SandboxPool()
    try:
        return [run async for run in run_cases(pool, code, cases, function=function)]
    finally:
        await pool.aclose()


async def test_one_sandbox_runs_many_inputs_apart_from_each_other() -> None:
    code = "import builtins\nn = int(input())\nprint(n, hasattr(builtins, 'mark'))\nbuiltins.mark = 1"
    runs = await runs_of(code, [CodeCase(f"{n}\n") for n in range(4)])
    assert [run.output for run in runs] == [f"{n} False\n" for n in range(4)]
    assert {run.status for run in runs} == {"ok"}


async def test_a_function_returns_plain_values_with_their_types() -> None:
    code = "def f(x, y): return x, {y: [1.5, True, None, b'a', 2j]}, {3}, float('inf')"
    (run,) = await runs_of(code, [CodeCase(arguments=[(1, 2), "k"])], "f")
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
    (run,) = await runs_of(code, [CodeCase(seconds=0.5), CodeCase()])
    assert run.status == status


async def test_a_program_that_stops_its_script_gets_no_more_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_tests, "MARGIN_S", 1.0)
    code = "import os, signal\nif input() == '2': os.kill(os.getppid(), signal.SIGSTOP)\nprint(1)"
    runs = await runs_of(code, [CodeCase(str(n), seconds=1) for n in range(4)])
    assert [run.status for run in runs] == ["ok", "ok", "timeout"]


async def test_many_slow_or_long_outputs_take_several_runs() -> None:
    code = "import time\ntime.sleep(0.4)\nprint(input() * 900_000)"
    runs = await runs_of(code, [CodeCase(str(n)) for n in range(5)])
    assert [run.output for run in runs] == [str(n) * 900_000 + "\n" for n in range(5)]


async def test_a_program_that_uses_all_memory_ends_the_tests() -> None:
    runs = await runs_of("x = []\nwhile True: x.append(bytes(range(256)) * 40_000)", [CodeCase()] * 2)
    assert [run.status for run in runs] in (["lost"], ["error"])


async def test_a_forged_answer_of_the_wrong_nonce_is_none() -> None:
    code = """import os
with open(f"/proc/{os.getppid()}/fd/1", "w") as answers:
    answers.write('{"id":0,"nonce":"","status":"ok","output":"7","error":"","seconds":0}' + chr(10))
"""
    runs = await runs_of(code, [CodeCase()] * 2)
    assert [run.status for run in runs if run.output] == []


async def test_a_process_that_is_left_behind_does_not_delay_the_answer() -> None:
    code = "import os, time\nif os.fork() == 0: time.sleep(60)\nelse: print(1)"
    (run,) = await runs_of(code, [CodeCase(seconds=30)])
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


async def test_every_case_runs_though_the_program_does_not_survive_some() -> None:
    code = "import os\nn = int(input())\nif n == 1: 1 / 0\nif n == 2: os.kill(os.getppid(), 9)\nprint(n)"
    pool = SandboxPool()
    try:
        cases = [CodeCase(f"{n}\n") for n in range(5)]
        runs = [run async for run in run_cases(pool, code, cases, every_case=True)]
    finally:
        await pool.aclose()
    assert [run.status for run in runs] == ["ok", "error", "lost", "ok", "ok"]
    assert [run.output for run in runs] == ["0\n", "", "", "3\n", "4\n"]
