"""Programs of a model on inputs: what comes back, and what a hostile program can't do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nemo_gym.environments import code_tests
from nemo_gym.environments.code_script import decode, encode
from nemo_gym.environments.code_tests import CodeCase, CodeRun, run_cases
from nemo_gym.sandbox import Program, ProgramResult, SandboxPool

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


async def runs_of(
    code: str,
    cases: list[CodeCase],
    function: str | None = None,
    is_right: Callable[[int, CodeRun], bool] = lambda number, run: True,
    memory_mib: int = 1024,
) -> list[CodeRun]:
    pool = SandboxPool()
    try:
        judged = run_cases(pool, code, cases, is_right, function=function, memory_mib=memory_mib)
        return [run async for run in judged]
    finally:
        await pool.aclose()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """The programs that run in sandboxes."""
    programs: list[Program] = []
    run_python = SandboxPool.run_python

    async def counted(pool: SandboxPool, program: Program) -> ProgramResult:
        programs.append(program)
        return await run_python(pool, program)

    monkeypatch.setattr(SandboxPool, "run_python", counted)
    return programs


USUAL_ENDS = {  # Each of them runs four times in one process.
    "names": "if 'mark' in globals(): 1 / 0\nmark = 1\nprint(input())",
    "exit": "import sys\nprint(input())\nsys.exit()",
    "thread": "import threading\nthreading.Thread(target=lambda: print(input())).start()",
    "atexit": "import atexit\natexit.register(lambda: print(input()))",
    "streams": """import sys, io
sys.stdout = open(1, 'w')
sys.stdin = io.StringIO(open(0).read())
print(input())""",
    "descriptors": "import os\nos.write(1, os.read(0, 99))\nos.close(0)\nos.close(1)",
    "arguments": "import sys\nassert sys.argv == ['solution.py']\nsys.argv.clear()\nprint(input())",
    "recursion": """import sys
assert sys.getrecursionlimit() == 1000
sys.setrecursionlimit(9999)
print(input())""",
}


@pytest.mark.parametrize("code", USUAL_ENDS.values(), ids=USUAL_ENDS)
async def test_one_process_runs_many_inputs(code: str, programs: list[Program]) -> None:
    runs = await runs_of(code, [CodeCase(f"{n}\n") for n in range(4)])
    assert [(run.status, run.output) for run in runs] == [("ok", f"{n}\n") for n in range(4)]
    assert len(programs) == 1


DISTURBANCES = {
    "wrong": "import builtins\nprint(input() if not hasattr(builtins, 'mark') else 'x')\nbuiltins.mark = 1",
    "error": "import builtins\nprint(input())\nassert not hasattr(builtins, 'mark')\nbuiltins.mark = 1",
    "exit": "import os\nprint(input(), flush=True)\nos._exit(0)",
    "signal": """import os, sys
print(input(), flush=True)
if sys.path[0] == 'x': os.abort()
sys.path[0] = 'x'""",
    "time": "import time\ntime.sleep(0.3)\nprint(input())",
    "child": "import os, time\nprint(input(), flush=True)\nif os.fork() == 0: time.sleep(60)",
}


@pytest.mark.parametrize("code", DISTURBANCES.values(), ids=DISTURBANCES)
async def test_an_input_that_may_fail_because_of_the_one_before_runs_apart(
    code: str, programs: list[Program]
) -> None:
    expected = [f"{n}\n" for n in range(5)]
    cases = [CodeCase(text) for text in expected]
    runs = await runs_of(code, cases, is_right=lambda number, run: run.output == expected[number])
    assert [(run.status, run.output) for run in runs] == [("ok", text) for text in expected]
    assert '"together": true' in programs[0].stdin


async def test_a_wrong_output_ends_the_tests(programs: list[Program]) -> None:
    cases = [CodeCase(str(n)) for n in range(4)]
    runs = await runs_of("print(input())", cases, is_right=lambda number, run: number < 2)
    assert [run.status for run in runs] == ["ok", "ok", "wrong"]
    runs = await runs_of("print(input())", cases, is_right=lambda number, run: False)
    assert [run.status for run in runs] == ["wrong"]
    assert ['"together": true' in program.stdin for program in programs] == [True, False, True]


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
    (run,) = await runs_of(code, [CodeCase(seconds=0.5 if status == "timeout" else 60.0), CodeCase()])
    assert run.status == status


async def test_a_program_that_stops_its_script_gets_no_more_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_tests, "MARGIN_S", 3.0)
    code = """import os, signal
if input() == '2':
    for each in (os.getppid(), os.getpid()): os.kill(each, signal.SIGSTOP)
print(1)"""
    runs = await runs_of(code, [CodeCase(str(n), seconds=3) for n in range(4)])
    assert [run.status for run in runs] == ["ok", "ok", "timeout"]


async def test_many_slow_or_long_outputs_take_several_runs() -> None:
    code = "import time\ntime.sleep(0.4)\nprint(input() * 900_000)"
    runs = await runs_of(code, [CodeCase(str(n)) for n in range(5)])
    assert [run.output for run in runs] == [str(n) * 900_000 + "\n" for n in range(5)]


async def test_a_program_that_uses_all_memory_ends_the_tests() -> None:
    code = "x = []\nwhile True: x.append(bytes(range(256)) * 40_000)"
    runs = await runs_of(code, [CodeCase()] * 2, memory_mib=200)
    assert [run.status for run in runs] in (["lost"], ["error"])


async def test_a_forged_answer_of_the_wrong_nonce_is_none() -> None:
    code = """import os
line = b'{"id":0,"nonce":"","status":"ok","output":"7","error":"","seconds":0}' + bytes([10])
for number in range(3, 100):
    try:
        os.write(number, line)
    except OSError:
        continue
"""
    runs = await runs_of(code, [CodeCase()] * 2)
    assert [run for run in runs if run.output == "7"] == []


async def test_a_program_that_writes_the_answers_itself_needs_the_right_ones() -> None:
    code = """import json, os, sys
frame = sys._getframe()
while 'answers' not in frame.f_locals: frame = frame.f_back
for number in range(9):
    answer = {'id': number, 'nonce': frame.f_locals['case']['nonce'], 'status': 'ok', 'output': '7'}
    line = json.dumps({**answer, 'error': '', 'seconds': 0}).encode() + bytes([10])
    os.write(frame.f_locals['answers'], line)
os._exit(0)
"""
    cases, expected = [CodeCase()] * 2, ["7", "8"]
    runs = await runs_of(code, cases, is_right=lambda number, run: run.output == expected[number])
    assert [run.status for run in runs] == ["ok", "error"]


async def test_a_process_that_is_left_behind_does_not_delay_the_answer() -> None:
    code = "import os, time\nif os.fork() == 0: time.sleep(600)\nelse: print(1)"
    (run,) = await runs_of(code, [CodeCase(seconds=300)])
    assert (run.status, run.output) == ("ok", "1\n")
    assert run.seconds < 200


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
