"""A cancellation ends what it meets, at whatever wait it comes, and nothing is left of it."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxPool, SandboxPtySpec, SandboxSpec
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.sandbox.providers.local.control import Control
from nemo_gym.sandbox.relay import Relays
from tests.support.cancellation import When, cancel_at

Work = Callable[[AsyncSandbox, Path], Coroutine[Any, Any, Any]]
PATIENCE_S = 60.0
SLEEP = f"1234.{uuid4().int % 10**9}"


@pytest.fixture(params=["auto", "off"])
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[LocalProvider]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        local = LocalProvider(create={"isolation": request.param, "folder": folder})
        yield local
        await local.aclose()
        assert os.listdir(folder) == []


def descriptors() -> set[str]:
    """What the open descriptors lead to, but for those of the loop and of the test itself."""
    gc.collect()
    return {os.readlink(place) for place in Path("/proc/self/fd").iterdir() if place.is_symlink()}


def is_asleep() -> bool:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if SLEEP.encode() in place.read_bytes():
                return True
    return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def run_command(sandbox: AsyncSandbox, folder: Path) -> None:
    await sandbox.exec("true")


async def run_out_of_time(sandbox: AsyncSandbox, folder: Path) -> None:
    with suppress(TimeoutError):
        await sandbox.exec(f"setsid sleep {SLEEP} & sleep {SLEEP}", timeout_s=0.2)


async def copy_file(sandbox: AsyncSandbox, folder: Path) -> None:
    (folder / "here").write_text("text")
    await sandbox.upload(folder / "here", "there/file")
    await sandbox.download("there/file", folder / "again")


async def copy_a_folder(sandbox: AsyncSandbox, folder: Path) -> None:
    await sandbox.exec("mkdir -p made && touch made/file")
    await sandbox.download_folder("made", folder, most_bytes=1 << 20)


async def use_terminal(sandbox: AsyncSandbox, folder: Path) -> None:
    session = await sandbox.pty.create(SandboxPtySpec(command="cat"))
    await session.close()


@pytest.mark.parametrize("when", ["at once", "at the end"])
@pytest.mark.parametrize("work", [run_command, run_out_of_time, copy_file, copy_a_folder, use_terminal])
async def test_nothing_is_left_of_what_is_cancelled_in_a_sandbox(
    provider: LocalProvider, tmp_path: Path, work: Work, when: When
) -> None:
    async with await AsyncSandbox(provider).start() as sandbox:
        before, wait, was_cancelled = descriptors(), 0, True
        while was_cancelled:
            folder = tmp_path / str(wait)
            folder.mkdir()
            was_cancelled = await cancel_at(wait, when, work(sandbox, folder))
            await until(lambda: not is_asleep())
            await until(lambda: descriptors() <= before)
            wait += 1
    assert wait > 1


async def hold_lease(provider: LocalProvider) -> None:
    pool = SandboxPool(provider, limit=1)
    lease = pool.lease()
    try:
        spec = SandboxSpec(files={"a/b": "text"}, entrypoint=["sleep", SLEEP])
        sandbox = await lease.sandbox(spec)
        await sandbox.exec(f"sleep {SLEEP} &")
    finally:
        await lease.aclose()
        async with asyncio.timeout(PATIENCE_S):
            await pool.take_place()  # the lease has returned its own


@pytest.mark.parametrize("when", ["at once", "at the end"])
@pytest.mark.parametrize("isolation", ["auto", "off"])
async def test_nothing_is_left_of_a_sandbox_that_is_cancelled(when: When, isolation: str) -> None:
    before, wait, was_cancelled = descriptors(), 0, True
    while was_cancelled:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            provider = LocalProvider(create={"isolation": isolation, "folder": folder})
            was_cancelled = await cancel_at(wait, when, hold_lease(provider))
            await until(lambda: os.listdir(folder) == [])
        await until(lambda: not is_asleep())
        await until(lambda: descriptors() <= before)
        wait += 1
    assert wait > 1


@pytest.mark.parametrize("when", ["at once", "at the end"])
async def test_a_command_that_can_t_be_killed_is_cancelled_all_the_same(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, when: When
) -> None:
    ask = Control._ask

    async def refuse(control: Control, request: dict[str, Any], *args: Any) -> Any:
        if request["op"] == "kill":
            raise OSError(errno.EMFILE, "too many open files")
        return await ask(control, request, *args)

    monkeypatch.setattr(Control, "_ask", refuse)
    async with await AsyncSandbox(provider).start() as sandbox:
        wait = 0
        while await cancel_at(wait, when, sandbox.exec("true")):
            wait += 1
    assert wait > 1


async def test_a_relay_ends_though_its_peer_does_not_read() -> None:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader = asyncio.StreamReader()
        reader.feed_data(bytes(32 << 20))
        return reader, (await asyncio.open_connection(*server.sockets[0].getsockname()))[1]

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    relays = Relays()
    port = await relays.listen(listener, connect)
    before = len(asyncio.all_tasks())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readexactly(1)
    async with asyncio.timeout(PATIENCE_S):
        await relays.close()
        with suppress(OSError):
            while await reader.read(1 << 20):
                pass
        writer.close()
    server.close()
    assert len(asyncio.all_tasks()) <= before + 1
