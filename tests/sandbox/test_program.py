"""One-shot Python programs in the local sandbox."""

from __future__ import annotations

import signal

import pytest

from nemo_gym.environments.session import Session
from nemo_gym.sandbox import Program, ProgramResult, SandboxPool
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxStopped
from nemo_gym.wire import keys
from nemo_gym.wire.task import Task, task_from_row


async def run(code: str, **fields) -> ProgramResult:
    pool = SandboxPool()
    try:
        return await pool.run_python(Program(code, **fields))
    finally:
        await pool.aclose()


async def test_a_program_reads_its_input_files_and_arguments() -> None:
    result = await run(
        "import sys, helper\nprint(helper.double(int(input())), sys.argv[1:], open('a/b.txt').read())",
        stdin="21\n",
        files={"helper.py": "def double(x): return 2 * x", "a/b.txt": "text"},
        arguments=["$(id)", "b c"],
    )
    assert (result.stdout, result.stderr) == ("42 ['$(id)', 'b c'] text\n", "")
    assert (result.exit_code, result.signal, result.reason) == (0, None, "ok")
    assert result.isolation == "namespaces"
    assert result.peak_memory_mib > 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.exit(3)", (3, None, "ok")),
        ("1 / 0", (1, None, "ok")),
        ("def", (1, None, "ok")),
        ("import os; os.kill(os.getpid(), 11)", (None, signal.SIGSEGV, "ok")),
        ("b = bytearray(1 << 30)", (1, None, "oom")),
    ],
)
async def test_the_end_of_a_program_has_a_reason(code: str, expected: tuple) -> None:
    result = await run(code, memory_mib=256)
    assert (result.exit_code, result.signal, result.reason) == expected


async def test_a_program_that_takes_too_long_is_killed() -> None:
    result = await run("import signal\nsignal.signal(14, signal.SIG_IGN)\nwhile True: pass", timeout_s=0.5)
    assert (result.exit_code, result.reason) == (None, "timeout")


async def test_output_is_cut_at_its_limit() -> None:
    result = await run("print('é' * 100000)", max_output_bytes=1001)
    assert (result.stdout, result.truncated) == ("é" * 500, True)


@pytest.mark.parametrize("text", ["\ud800", "\0", "é" * 300_000, ""], ids=ascii)
async def test_any_text_can_be_the_code_or_the_input(text: str) -> None:
    assert (await run(text)).exit_code in (0, 1)
    assert (await run("import sys; sys.stdin.read()", stdin=text)).exit_code == 0


@pytest.mark.parametrize("path", ["/etc/x", "../x", ".runner.py", "a/../../x"])
def test_a_file_outside_of_the_working_directory_is_refused(path: str) -> None:
    with pytest.raises(InvalidSandbox, match="relative path"):
        Program("", files={path: ""})


async def test_nothing_of_a_run_is_left_for_the_next() -> None:
    pool = SandboxPool()
    await pool.run_python(Program("open('x', 'w').write('1'); open('/tmp/y', 'w').write('1')"))
    result = await pool.run_python(Program("import os; print(os.listdir('.'), os.listdir('/tmp'))"))
    await pool.aclose()
    assert result.stdout == "[] []\n"


async def test_the_row_has_the_isolation() -> None:
    pool = SandboxPool()
    session = Session(
        {}, task_from_row({"responses_create_params": {"input": "x"}}, Task), id="1", seed=0, tools=[]
    )
    assert (await session.run_python(Program("print(1)"))).stdout == "1\n"
    assert session.sandboxes is not None
    assert session.columns == {keys.SANDBOX: {"local": "namespaces"}}
    await session.sandboxes.aclose()
    with pytest.raises(SandboxStopped):
        await session.run_python(Program(""))
    await pool.aclose()


async def test_a_program_sees_nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hush")
    result = await run("import os; print('API_KEY' in os.environ, len(os.listdir('/proc/self/fd')))")
    assert result.stdout == "False 4\n"


async def test_nothing_of_this_package_can_be_imported_or_is_loaded() -> None:
    result = await run(
        "import importlib.util, sys\n"
        "print([name for name in sys.modules if 'gym' in name], importlib.util.find_spec('nemo_gym'))\n"
        "print([path for path in sys.path if 'gym' in path])"
    )
    assert result.stdout == "[] None\n[]\n"
