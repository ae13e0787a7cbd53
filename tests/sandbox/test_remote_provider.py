"""The remote provider, over a real server on loopback with the local provider behind it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxPool, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.errors import (
    ArchiveRefused,
    InvalidSandbox,
    SandboxCreateError,
    SandboxFileError,
    SandboxNotStarted,
    SandboxPtyError,
    SandboxUnreachable,
    SandboxUnsupported,
)
from nemo_gym.sandbox.providers.remote import RemoteProvider
from tests.support.sandbox_server import SandboxServer, impatient, sandbox_server


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with sandbox_server() as running:
        yield running


@pytest.fixture
async def provider(server: SandboxServer) -> AsyncIterator[RemoteProvider]:
    remote = RemoteProvider(url=server.url)
    yield remote
    await remote.aclose()


async def test_a_sandbox_does_what_the_same_one_does_here(provider: RemoteProvider, tmp_path: Path) -> None:
    spec = SandboxSpec(
        env={"GREETING": "hello"},
        files={"folder/a.txt": "text with \udc80"},
        resources={"memory_mib": 256},
        workdir="/workspace",
    )
    async with await AsyncSandbox(provider, spec).start() as sandbox:
        assert sandbox.isolation == "namespaces"
        result = await sandbox.exec(
            'echo "$GREETING $OWN"; cat a.txt >&2; exit 3', cwd="folder", env={"OWN": "x"}
        )
        assert (result.stdout, result.return_code) == ("hello x\n", 3)
        assert (result.stderr or "").startswith("text with")
        assert result.usage is not None
        data = bytes(range(256)) * 10_000
        (tmp_path / "in").write_bytes(data)
        (tmp_path / "in").chmod(0o755)
        await sandbox.upload(tmp_path / "in", "new/folder/in")
        assert (await sandbox.exec("test -x new/folder/in")).return_code == 0
        await sandbox.download("new/folder/in", tmp_path / "deep" / "out")
        assert (tmp_path / "deep" / "out").read_bytes() == data
        assert await sandbox.status() is SandboxStatus.RUNNING
        (tmp_path / "copy").mkdir()
        await sandbox.download_folder("new", tmp_path / "copy", most_bytes=10_000_000)
        assert (tmp_path / "copy" / "folder" / "in").read_bytes() == data
    with pytest.raises(SandboxNotStarted):
        await sandbox.exec("true")


async def test_errors_have_the_same_classes(provider: RemoteProvider, tmp_path: Path) -> None:
    async with await AsyncSandbox(provider).start() as sandbox:
        with pytest.raises(TimeoutError, match=r"more than 0\.2 seconds"):
            await sandbox.exec("sleep 60", timeout_s=0.2)
        with pytest.raises(SandboxFileError, match="nothing"):
            await sandbox.download("nothing", tmp_path / "out")
        with pytest.raises(SandboxFileError):
            await sandbox.upload(tmp_path / "nothing", "in")
        with pytest.raises(InvalidSandbox, match="runs as"):
            await sandbox.exec("true", user="root")
        with pytest.raises(SandboxFileError):
            await sandbox.download_folder("nothing", tmp_path, most_bytes=1000)
        (tmp_path / "copy").mkdir()
        await sandbox.exec("mkdir big; head -c 100000 /dev/zero > big/file")
        with pytest.raises(ArchiveRefused):
            await sandbox.download_folder("big", tmp_path / "copy", most_bytes=1000)
    with pytest.raises(SandboxCreateError, match="runs no images"):
        await AsyncSandbox(provider, SandboxSpec(image="ubuntu")).start()
    with pytest.raises(InvalidSandbox, match="no setting 'limit'"):
        await AsyncSandbox(provider, SandboxSpec(provider_options={"local": {"limit": {}}})).start()


async def test_programs_run_in_the_servers_warm_interpreters(provider: RemoteProvider) -> None:
    pool = SandboxPool(provider)
    program = Program(
        "import sys\nprint(input() + open('f').read() + sys.argv[1])",
        "in ",
        {"f": "file "},
        ["argument"],
        timeout_s=20,
    )
    result = await pool.run_python(program)
    assert (result.stdout, result.exit_code, result.reason) == ("in file argument\n", 0, "ok")
    assert result.isolation == "namespaces"
    late, odd = await asyncio.gather(
        pool.run_python(Program("while True: pass", timeout_s=0.5)),
        pool.run_python(Program("print('\udc80')", stdin="\ud800")),
    )
    assert late.reason == "timeout"
    full = await pool.run_python(
        Program("print(end='\\0' * 3_000_000)", timeout_s=20, max_output_bytes=2_000_000)
    )
    assert (full.stdout, full.truncated) == ("\0" * 2_000_000, True)
    assert (odd.reason, odd.exit_code) == ("ok", 1)


async def test_sessions_have_terminals_and_pipes(provider: RemoteProvider) -> None:
    async with await AsyncSandbox(provider).start() as sandbox:
        async with await sandbox.pty.exec("cat; echo end >&2; exit 3", pty=False) as session:
            await session.write(b"\xff line\n")
            assert await session.read() == b"\xff line\n"
            with pytest.raises(SandboxPtyError, match="no size"):
                await session.resize(10, 10)
            await session.send_signal(signal.SIGTERM)
            assert await session.wait_exit() == 128 + signal.SIGTERM
        with pytest.raises(SandboxPtyError, match="closed"):
            await session.read()
        async with await sandbox.pty.exec("stty size", rows=30, cols=90) as session:
            assert b"30 90" in b"".join([data async for data in session])


async def test_ports_and_servers_are_reached_on_the_same_machine_only(
    provider: RemoteProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await AsyncSandbox(provider, SandboxSpec(ports=[8000])).start() as sandbox:
        endpoint = await sandbox.endpoint(8000)
        assert endpoint.endpoint.startswith("http://127.0.0.1:")
        assert (await sandbox.reach("http://127.0.0.1:9")).startswith("http://127.0.0.1:")
        for url in (
            "http://10.1.2.3:80",
            "http://169.254.169.254/latest",
            "http://example.org",
            "http://[",
            "x",
        ):
            with pytest.raises(SandboxUnsupported, match="at its address"):
                await sandbox.reach(url)
        monkeypatch.setattr("nemo_gym.sandbox.providers.remote.server.Server.url", "http://10.0.0.7:9000")
        with pytest.raises(SandboxUnsupported, match=r"port 8000 is published at http://127\.0\.0\.1"):
            await sandbox.endpoint(8000)


async def test_another_process_can_take_a_sandbox_over(
    server: SandboxServer, provider: RemoteProvider
) -> None:
    async with await AsyncSandbox(provider).start() as sandbox:
        await sandbox.exec("echo here > note")
        descriptor = sandbox.serialize()
        other = await AsyncSandbox.connect(descriptor, {"remote": {"url": server.url}})
        assert (await other.exec("cat note")).stdout == "here\n"
        assert other.isolation == "namespaces"
        await other.stop()
        assert await sandbox.status() is SandboxStatus.STOPPED
        with pytest.raises(SandboxCreateError, match="no such sandbox"):
            await AsyncSandbox.connect(descriptor, provider)
        with pytest.raises(InvalidSandbox, match="not in the settings"):
            await AsyncSandbox.connect({**descriptor, "url": "http://10.9.9.9:1"}, provider)


async def test_a_cancelled_command_is_killed_on_the_server(provider: RemoteProvider) -> None:
    async with await AsyncSandbox(provider).start() as sandbox:
        command = asyncio.create_task(sandbox.exec("echo $$ > pid; exec sleep 60"))
        async with asyncio.timeout(60):
            while (await sandbox.exec("cat pid")).stdout in ("", None):
                await asyncio.sleep(0.02)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        async with asyncio.timeout(60):
            while (await sandbox.exec("kill -0 $(cat pid)")).return_code == 0:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected the URL of a sandbox server"),
        ({"url": ["http://a:1", ""]}, "expected the URL of a sandbox server"),
        ({"url": "10.0.0.7:9000"}, "sandbox server URL"),
        ({"url": "http://a:1", "token_env": "NO_SUCH"}, "no environment variable NO_SUCH"),
        ({"url": "http://a:1", "max_file_mib": 0}, "max_file_mib"),
    ],
)
def test_wrong_settings_are_one_clear_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(Exception, match=message) as error:
        RemoteProvider(**settings)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


async def test_a_file_beyond_the_limit_is_refused(server: SandboxServer, tmp_path: Path) -> None:
    provider = RemoteProvider(url=server.url, max_file_mib=1)
    (tmp_path / "big").write_bytes(b"x" * (1 << 20) + b"x")
    async with await AsyncSandbox(provider).start() as sandbox:
        with pytest.raises(SandboxFileError, match="larger than 1 MiB"):
            await sandbox.upload(tmp_path / "big", "big")
        await sandbox.exec("head -c 2000000 /dev/zero > big")
        with pytest.raises(SandboxFileError, match="larger than"):
            await sandbox.download("big", tmp_path / "out")
    await provider.aclose()


async def test_sandboxes_are_spread_over_servers_and_one_that_is_down_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    async with sandbox_server() as one, sandbox_server() as two:
        provider = RemoteProvider(url=[one.url, two.url])
        handles = [await provider.create(SandboxSpec()) for _ in range(4)]
        assert sorted(handle.raw.server.url for handle in handles) == sorted([one.url, two.url] * 2)
        await one.stop()
        more = await provider.create(SandboxSpec())
        assert more.raw.server.url == two.url
        assert (await provider.run_python(Program("print(1)", timeout_s=20))).stdout == "1\n"
        for handle in [more, *handles]:
            if handle.raw.server.url == two.url:
                await provider.close(handle)
            else:
                with pytest.raises(SandboxUnreachable):
                    await provider.exec(handle, "true")
        await provider.aclose()
