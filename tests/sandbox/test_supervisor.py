"""What code inside a sandbox does to its supervisor, and names that no file can have."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.errors import SandboxFileError
from nemo_gym.sandbox.providers.local import LocalProvider

PYTHON = "import ctypes, os, resource, signal\nlibc = ctypes.CDLL(None, use_errno=True)\n"

SABOTAGE = {
    "every signal": "for number in signal.valid_signals():\n    os.kill(FIRST, number)",
    "interrupt": "os.kill(FIRST, signal.SIGINT)",
    "every signal, often": (
        "for _ in range(2000):\n"
        "    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):\n        os.kill(FIRST, number)"
    ),
    "to everybody": "signal.signal(signal.SIGINT, signal.SIG_IGN); os.kill(-1, signal.SIGINT)",
    "by a descriptor": "signal.pidfd_send_signal(os.open(f'/proc/{FIRST}', os.O_RDONLY), signal.SIGINT)",
    "no open files": "resource.prlimit(FIRST, resource.RLIMIT_NOFILE, (0, 0))",
    "no processes": "resource.prlimit(FIRST, resource.RLIMIT_NPROC, (0, 0))",
    "no memory": "resource.prlimit(FIRST, resource.RLIMIT_AS, (0, 0))",
    "no data": "resource.prlimit(FIRST, resource.RLIMIT_DATA, (0, 0))",
    "no time": "resource.prlimit(FIRST, resource.RLIMIT_CPU, (0, 0))",
    "no stack": "resource.prlimit(FIRST, resource.RLIMIT_STACK, (0, 0))",
    "no files": "resource.prlimit(FIRST, resource.RLIMIT_FSIZE, (0, 0))",
    "no open files, by the bare call": (
        "print(libc.syscall({'x86_64': 302, 'aarch64': 261}[os.uname().machine],"
        " ctypes.c_long((7 << 32) | FIRST), 7, bytes(16), None))"
    ),
    "least important": "os.setpriority(os.PRIO_PROCESS, FIRST, 19)",
    "least important, as all of its user's": "os.setpriority(os.PRIO_USER, 0, 19)",
    "least important, by its user's number": "os.setpriority(os.PRIO_USER, os.getuid(), 19)",
    "last at the disk, as all of its user's": (
        "libc.syscall({'x86_64': 251, 'aarch64': 30}[os.uname().machine], 3, os.getuid(), (3 << 13) | 0)"
    ),
    "only when nothing else runs": "os.sched_setscheduler(FIRST, os.SCHED_IDLE, os.sched_param(0))",
    "traced": "libc.ptrace(16, FIRST, 0, 0)",
    "overwritten": "open(f'/proc/{FIRST}/mem', 'wb').write(b'x')",
    "out of memory first": "open(f'/proc/{FIRST}/oom_score_adj', 'w').write('1000')",
}
"""Each attacks FIRST, the process of the supervisor."""
PRIORITY = "ps -o ni= -p 1; ionice -p 1"

PROVIDER = LocalProvider(create={"isolation": "required"})


@pytest.fixture
async def sandbox() -> AsyncIterator[AsyncSandbox]:
    async with AsyncSandbox(PROVIDER) as started:
        yield await started.start()


@pytest.mark.parametrize("sabotage", SABOTAGE)
async def test_sabotage_of_the_supervisor_has_no_effect(sabotage: str, tmp_path: Path) -> None:
    spec = SandboxSpec(files={"sabotage.py": f"{PYTHON}FIRST = 1\n{SABOTAGE[sabotage]}"})
    async with AsyncSandbox(PROVIDER, spec) as sandbox:
        await sandbox.start()
        before = await sandbox.exec(PRIORITY)
        await sandbox.exec("python3 -I -S sabotage.py")
        result = await sandbox.exec("echo still here; ulimit -n")
        assert (result.stdout, result.error_type) == ("still here\n1024\n", None)
        (tmp_path / "in").write_text("text")
        await sandbox.upload(tmp_path / "in", "in")
        await sandbox.download("in", tmp_path / "out")
        assert await sandbox.status() is SandboxStatus.RUNNING
        assert (await sandbox.exec(PRIORITY)).stdout == before.stdout


REFUSED = {
    "keyctl": (250, 219, "0, -3, 0"),
    "add_key": (248, 217, "b'user', b'x', b'x', 1, -3"),
    "AF_VSOCK": (41, 198, "40, 1, 0"),
    "bpf": (321, 280, "0, 0, 0"),
    "io_uring_setup": (425, 425, "1, 0"),
    "another machine's calls": (0x40000000 + 39, 0x40000000 + 39, "0"),
}
"""The number on x86_64, the one on aarch64, and arguments."""


async def test_calls_that_no_namespace_divides_are_refused(sandbox: AsyncSandbox) -> None:
    place = os.uname().machine == "aarch64"
    calls = [
        f"print(libc.syscall({call[place]}, {call[2]}), ctypes.get_errno())" for call in REFUSED.values()
    ]
    code = PYTHON + "\n".join(calls)
    result = await sandbox.exec(f'python3 -I -S -c "{code}"')
    assert dict(zip(REFUSED, result.stdout.splitlines(), strict=True)) == dict.fromkeys(REFUSED, "-1 1")


ODD_NAMES = {
    "NUL": "a\0b",
    "NUL in a folder": "a\0b/c",
    "lone surrogate": "a\ud800b",
    "300 bytes": "x" * 300,
    "5,000 folders": "d/" * 5000 + "x",
    "empty": "",
    "a folder": "/tmp",
}


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_a_name_that_no_file_can_have_is_an_error_for_that_call_alone(
    name: str, sandbox: AsyncSandbox, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("text")
    with pytest.raises(SandboxFileError):
        await sandbox.upload(tmp_path / "in", ODD_NAMES[name])
    with pytest.raises(SandboxFileError):
        await sandbox.download(ODD_NAMES[name], tmp_path / "out")
    assert (await sandbox.exec("echo still here")).stdout == "still here\n"
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("name", ["a\nb", "-rf", "\udcff", "é", " ", "a\n/b", "*", "\x1b[2J", "-d/-f"])
async def test_any_other_name_is_one(name: str, sandbox: AsyncSandbox, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("text")
    await sandbox.upload(tmp_path / "in", name)
    await sandbox.download(name, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "text"


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": "echo a\0b"},
        {"command": "echo \ud800"},
        {"command": "true", "cwd": "a\0b"},
        {"command": "true", "cwd": "\ud800"},
        {"command": "true", "env": {"A": "a\0b"}},
        {"command": "true", "env": {"A": "\ud800"}},
        {"command": "true", "env": {"A=B": "x"}},
        {"command": "true", "env": {"": "x"}},
    ],
    ids=ascii,
)
async def test_a_command_that_cannot_be_is_an_error_for_that_call_alone(
    arguments: dict, sandbox: AsyncSandbox
) -> None:
    result = await sandbox.exec(**arguments)
    assert (result.return_code, result.error_type) == (125, "start")
    assert (await sandbox.exec("echo still here")).stdout == "still here\n"


@pytest.mark.parametrize("isolation", ["required", "off"])
async def test_deep_and_locked_folders_go_with_the_sandbox(isolation: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for above in tmp_path.parents[:-1]:
        if above.stat().st_uid == os.getuid() and above != Path("/tmp"):
            above.chmod(0o755)
    provider = LocalProvider(create={"isolation": isolation, "folder": str(tmp_path)})
    async with AsyncSandbox(provider) as sandbox:
        await sandbox.start()
        code = "import os\nfor _ in range(1100):\n    os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0)"
        made = await sandbox.exec(
            f'mkdir $HOME/x; touch $HOME/x/y; chmod 0 $HOME/x; python3 -I -S -c "{code}"'
        )
        assert made.return_code == 0, made.stderr
    assert os.listdir(tmp_path) == []


async def test_stop_raises_nothing_and_says_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn:
        name = "stubborn"

        async def create(self, spec: SandboxSpec) -> object:
            return type("Handle", (), {"sandbox_id": "box-7"})()

        async def close(self, handle: object) -> None:
            raise TimeoutError("no answer")

        async def aclose(self) -> None:
            raise RuntimeError("no")

    sandbox = AsyncSandbox(Stubborn())  # type: ignore[arg-type]
    await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()
    assert "box-7 can't be removed: TimeoutError('no answer')" in caplog.text
    assert await sandbox.status() is SandboxStatus.STOPPED
