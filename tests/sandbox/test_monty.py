"""The monty provider, with real processes of the interpreter."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxCreateError, SandboxPool
from nemo_gym.sandbox.errors import SandboxUnsupported


@pytest.fixture
async def pool() -> AsyncIterator[SandboxPool]:
    programs = SandboxPool("monty", limit=4)
    yield programs
    await programs.aclose()
    assert not workers()


def workers() -> list[bytes]:
    """The interpreters that this process has started."""
    commands = []
    for child in Path(f"/proc/self/task/{Path('/proc/self').resolve().name}/children").read_text().split():
        commands.append(Path(f"/proc/{child}/cmdline").read_bytes())
    return [command for command in commands if b"monty" in command]


async def test_a_program_computes_reads_and_prints(pool: SandboxPool) -> None:
    code = """
def total(numbers):
    return sum(n * n for n in numbers)
print(total([int(input()), int(input('? '))]))
try:
    input()
except Exception:
    print('end')
"""
    result = await pool.run_python(Program(code, stdin="3\n4", timeout_s=20))
    assert (result.stdout, result.stderr) == ("? 25\nend\n", "")
    assert (result.exit_code, result.reason, result.isolation) == (0, "ok", "monty")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("def f(:", "SyntaxError"),
        ("def f(n): return f(n + 1)\nf(0)", "RecursionError"),
        ("x = " + "(" * 50_000 + ")" * 50_000, "SyntaxError"),
        ("print('\udc80')", "SyntaxError"),
        ("print(undefined)", "NameError"),
        ("(1).no", "AttributeError"),
    ],
)
async def test_a_mistake_of_the_program_ends_it_as_an_error(pool: SandboxPool, code: str, error: str) -> None:
    result = await pool.run_python(Program(code, timeout_s=20))
    assert (result.exit_code, result.reason) == (1, "ok")
    assert error in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('x', 'w')",
        "import os\nos.listdir('/')",
        "import os\nprint(os.environ)",
        "import socket",
        "import subprocess",
        "import numpy",
        "import sys\nsys.stdin.read()",
        "__import__('os')",
        "def g():\n  yield 1",
    ],
)
async def test_what_monty_lacks_is_denied(pool: SandboxPool, code: str) -> None:
    result = await pool.run_python(Program(code, timeout_s=20))
    assert (result.exit_code, result.reason) == (1, "denied"), result.stderr


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True: pass", "timeout"),
        ("try:\n  while True: pass\nexcept BaseException: pass\nwhile True: pass", "timeout"),
        ("import time\ntime.sleep(1000)", "timeout"),
        ("sum(range(10 ** 12))", "timeout"),
        ("while True: print('x' * 1000)", "timeout"),
        ("x = []\nwhile True: x.append('a' * 1000)", "oom"),
        ("x = 'a'\nwhile True: x += x", "oom"),
        ("9 ** 9 ** 9", "oom"),
        ("[0] * 10 ** 10", "oom"),
        ("f'{1:1000000000000}'", "oom"),
    ],
)
async def test_limits_hold(pool: SandboxPool, code: str, reason: str) -> None:
    seconds = 60.0 if reason == "oom" else 2.0 if "print" in code else 0.4
    result = await pool.run_python(Program(code, timeout_s=seconds, memory_mib=16, max_output_bytes=5000))
    assert (result.exit_code, result.reason) == (None, reason), result.stderr
    assert result.truncated == ("print" in code)
    assert len(result.stdout) == (5000 if "print" in code else 0)


async def test_a_cancelled_program_ends(pool: SandboxPool) -> None:
    running = asyncio.create_task(pool.run_python(Program("while True: pass", timeout_s=600)))
    await asyncio.sleep(0.3)
    running.cancel()
    async with asyncio.timeout(300):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (await pool.run_python(Program("print(1)", timeout_s=20))).stdout == "1\n"


async def test_programs_share_nothing(pool: SandboxPool) -> None:
    await pool.run_python(Program("import math\nmath.secret = secret = 1\n", timeout_s=20))
    result = await pool.run_python(Program("import math\nprint(secret)", timeout_s=20))
    assert "NameError" in result.stderr


async def test_what_it_can_not_do_is_one_clear_error_and_no_result(pool: SandboxPool) -> None:
    for program in (Program("1", files={"a": ""}), Program("1", arguments=["a"])):
        with pytest.raises(SandboxUnsupported, match="no files and no arguments"):
            await pool.run_python(program)
    with pytest.raises(SandboxCreateError, match="one-shot Python programs only"):
        await AsyncSandbox("monty").start()


async def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(SandboxCreateError, match=r"pip install 'nemo-gym\[monty\]'"):
        await SandboxPool("monty").run_python(Program("1"))
