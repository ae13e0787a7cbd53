"""The two ends of a supervisor's control socket, when something goes wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxPtySpec, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.errors import SandboxCreateError, SandboxPtyError
from nemo_gym.sandbox.providers.local import LocalProvider, jail, layout, programs
from nemo_gym.sandbox.providers.local.control import Control
from nemo_gym.sandbox.providers.local.settings import LocalCreateConfig

PATIENCE_S = 20.0
MANY = 5000
"""More descriptors than the numbers that a supervisor used to close."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        assert os.listdir(folder) == []


@pytest.fixture(params=["auto", "off"])
async def provider(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[LocalProvider]:
    local = LocalProvider(create={"isolation": request.param, "folder": str(folder)})
    yield local
    await local.aclose()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """So many are open that the next ones have numbers above `MANY`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * MANY, max(hard, 2 * MANY)))
    opened: list[int] = []
    try:
        while not opened or opened[-1] < MANY:
            opened.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for fd in opened:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
async def test_no_descriptor_reaches_a_program_whatever_its_number_is(provider: LocalProvider) -> None:
    code = "import os; names = os.listdir('/proc/self/fd'); print([n for n in names if int(n) > 3])"
    assert (await provider.run_python(Program(code))).stdout == "[]\n"
    async with await AsyncSandbox(provider).start() as sandbox:
        assert (await sandbox.exec(f'python3 -c "{code}"')).stdout == "[]\n"


async def test_what_waits_to_be_sent_ends_with_the_sandbox(folder: Path) -> None:
    provider = LocalProvider(create={"isolation": "off", "folder": str(folder)})
    sandbox = await AsyncSandbox(provider).start()
    supervisor = sandbox._handle.raw.control._process.pid  # type: ignore[union-attr]
    os.kill(supervisor, signal.SIGSTOP)
    commands = [asyncio.create_task(sandbox.exec(f"true {'x' * 100_000}")) for _ in range(20)]
    for _ in range(100):
        await asyncio.sleep(0)
    stop = asyncio.create_task(sandbox.stop())
    for _ in range(100):
        await asyncio.sleep(0)
    os.kill(supervisor, signal.SIGCONT)
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(*commands)
        await stop
    assert {result.error_type for result in results} == {"sandbox_stopped"}


class Gate:
    """Holds the start of a supervisor's process back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened, self.processes = asyncio.Event(), asyncio.Event(), list[Any]()
        start = asyncio.create_subprocess_exec

        async def create(*words: str, **options: Any) -> Any:
            self.reached.set()
            await self.opened.wait()
            self.processes.append(await start(*words, **options))
            return self.processes[-1]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", create)


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_a_start_that_is_cancelled_again_leaves_nothing(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, cancellations: int
) -> None:
    await provider.isolation()
    before = os.listdir("/proc/self/fd")
    gate = Gate(monkeypatch)
    task = asyncio.create_task(provider.create(SandboxSpec()))
    await gate.reached.wait()
    for _ in range(cancellations):
        task.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(PATIENCE_S):
        while not gate.processes or gate.processes[0].returncode is None:
            await asyncio.sleep(0.01)
        while len(os.listdir("/proc/self/fd")) > len(before):
            await asyncio.sleep(0.01)


async def test_a_start_without_descriptors_is_an_error_of_the_sandbox_and_leaves_nothing(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    await provider.isolation()
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(socket, "socketpair", refuse)
    with pytest.raises(SandboxCreateError, match="Too many open files"):
        await provider.create(SandboxSpec())
    assert len(os.listdir("/proc/self/fd")) == len(before)


async def test_a_session_that_gets_no_pipe_leaves_none(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipes, make = [], os.pipe

    def pipe() -> tuple[int, int]:
        if len(pipes) == 2:
            raise OSError(errno.EMFILE, "Too many open files")
        pipes.append(make())
        return pipes[-1]

    async with await AsyncSandbox(provider).start() as sandbox:
        before = os.listdir("/proc/self/fd")
        monkeypatch.setattr(os, "pipe", pipe)
        with pytest.raises(SandboxPtyError, match="Too many open files"):
            await sandbox.pty.create(SandboxPtySpec(pty=False))
        monkeypatch.undo()
        assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_folder_that_can_t_be_given_away_is_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(SandboxCreateError, match="Operation not permitted"):
        layout.Layout.make(LocalCreateConfig(folder=str(folder)), SandboxSpec(), jailed=True)
    assert os.listdir(folder) == []


async def test_files_are_opened_and_looked_at_in_threads(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A slow disk does not keep the event loop."""
    (tmp_path / "in").write_text("text")
    provider = LocalProvider(create={"folder": str(folder)})
    here = threading.current_thread()
    blocking: list[str] = []
    bwrap, path_open, exists = jail.bwrap, Path.open, os.path.exists

    def note(name: str, result: Any) -> Any:
        if threading.current_thread() is here:
            blocking.append(name)
        return result

    monkeypatch.setattr(jail, "bwrap", lambda: note("bwrap", bwrap()))
    monkeypatch.setattr(os.path, "exists", lambda path: note(f"exists {path}", exists(path)))
    monkeypatch.setattr(
        Path, "open", lambda self, *mode, **more: note(f"open {self}", path_open(self, *mode, **more))
    )
    async with await AsyncSandbox(provider, SandboxSpec(files={"a": "text"})).start() as sandbox:
        await sandbox.upload(tmp_path / "in", "b")
        await sandbox.download("b", tmp_path / "out")
    monkeypatch.undo()
    assert blocking == []
    assert (tmp_path / "out").read_text() == "text"


async def test_a_warm_sandbox_that_died_is_not_used(folder: Path) -> None:
    provider = LocalProvider(create={"folder": str(folder)})
    assert (await provider.run_python(Program("print(1)"))).stdout == "1\n"
    (warm,) = provider._programs._idle
    warm._process.kill()
    async with asyncio.timeout(PATIENCE_S):
        while warm.running:
            await asyncio.sleep(0.01)
    assert (await provider.run_python(Program("print(2)"))).stdout == "2\n"
    await provider.aclose()


async def test_a_late_program_is_late_though_its_sandbox_can_t_be_emptied_in_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_STOP_S", 0.0)
    provider = LocalProvider(create={"folder": str(folder)})
    result = await provider.run_python(Program("while True: pass", timeout_s=0.2))
    assert (result.reason, result.exit_code) == ("timeout", None)
    assert (await provider.run_python(Program("print(2)"))).stdout == "2\n"
    await provider.aclose()


async def test_the_time_of_a_command_counts_from_its_request(folder: Path) -> None:
    provider = LocalProvider(create={"isolation": "off", "folder": str(folder)})
    async with await AsyncSandbox(provider).start() as sandbox:
        supervisor = sandbox._handle.raw.control._process.pid  # type: ignore[union-attr]
        os.kill(supervisor, signal.SIGSTOP)
        command = asyncio.create_task(sandbox.exec("true", timeout_s=0.1))
        await asyncio.sleep(0.3)
        os.kill(supervisor, signal.SIGCONT)
        with pytest.raises(TimeoutError, match=r"more than 0\.1 seconds"):
            await command
        assert await sandbox.status() is SandboxStatus.RUNNING


async def test_a_control_group_is_removed_though_its_end_is_cancelled(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[bool] = []

    class Group:
        def remove(self) -> None:
            removed.append(True)

    async with await AsyncSandbox(provider).start() as sandbox:
        control: Control = sandbox._handle.raw.control  # type: ignore[union-attr]
        monkeypatch.setattr(control, "_own_group", Group())
        closing = asyncio.create_task(control.close())
        await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        assert removed == [True]
        monkeypatch.setattr(control, "_own_group", None)
