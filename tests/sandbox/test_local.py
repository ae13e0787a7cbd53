"""The local provider, with real processes: shut in by namespaces where the kernel permits, and without."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxPtySpec, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.config import allow_unsafe
from nemo_gym.sandbox.errors import (
    InvalidSandbox,
    NotIsolated,
    SandboxCreateError,
    SandboxFileError,
    SandboxNotStarted,
    SandboxPtyError,
    SandboxUnsupported,
)
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.support.process_output import Output

CLEAN = {"PATH", "LANG", "HOME", "TMPDIR", "USER", "PWD", "SHLVL", "_", "NEMO_GYM_SANDBOX_RUN"}


@pytest.fixture(params=["auto", "off"])
async def provider(request) -> AsyncIterator[LocalProvider]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # where this is root, the code is nobody, who must get there
        made = LocalProvider(create={"isolation": request.param, "folder": folder})
        yield made
        await made.aclose()
        assert os.listdir(folder) == []


@pytest.fixture
async def sandbox(provider) -> AsyncIterator[AsyncSandbox]:
    async with await AsyncSandbox(provider, SandboxSpec(env={"GIVEN": "yes"})).start() as started:
        yield started


async def shut_in(sandbox: AsyncSandbox) -> bool:
    return (await sandbox._provider.isolation()).namespaces


async def gone(marker: str) -> None:
    """Wait until no process has the marker among its arguments."""
    async with asyncio.timeout(60):
        while any(marker.encode() in command for command in commands()):
            await asyncio.sleep(0.01)


def commands() -> list[bytes]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:
            continue
    return found


class TestCommands:
    async def test_a_command_that_is_cancelled_before_it_starts_leaves_no_pipe(self, provider, monkeypatch):
        outputs: list[Output] = []
        make = Output.pipe

        async def pipe(most: int) -> Output:
            if outputs:
                raise asyncio.CancelledError
            outputs.append(await make(most))
            return outputs[0]

        async with await AsyncSandbox(provider, SandboxSpec()).start() as sandbox:
            monkeypatch.setattr(Output, "pipe", pipe)
            with pytest.raises(asyncio.CancelledError):
                await sandbox.exec("true")
            monkeypatch.undo()
        assert outputs[0].end.closed
        await outputs[0].drained

    async def test_a_command_gives_its_output_and_exit_code(self, sandbox):
        result = await sandbox.exec("echo out; echo err >&2; exit 3")
        assert (result.stdout, result.stderr, result.return_code) == ("out\n", "err\n", 3)
        assert result.error_type is None

    async def test_a_killed_command_has_the_shell_s_exit_code(self, sandbox):
        assert (await sandbox.exec("kill -9 $$")).return_code == 128 + signal.SIGKILL

    async def test_nothing_of_this_process_s_environment_is_there(self, sandbox, monkeypatch):
        monkeypatch.setenv("API_KEY", "hush")
        result = await sandbox.exec("env", env={"MORE": "too"})
        names = {line.split("=")[0] for line in result.stdout.splitlines()}
        assert names - CLEAN == {"GIVEN", "MORE"}

    async def test_nothing_of_this_process_s_files_is_open(self, sandbox):
        told = await sandbox.exec("for open in /proc/$$/fd/*; do readlink $open; done")
        assert [name.split(":")[0] for name in told.stdout.split()] == ["/dev/null", "pipe", "pipe"]

    async def test_no_privilege_can_be_gained(self, sandbox):
        told = (await sandbox.exec("grep -E 'NoNewPrivs|Cap(Eff|Bnd|Prm)' /proc/self/status; id -u")).stdout
        values = dict(line.split(":\t") for line in told.splitlines()[:-1])
        assert values["NoNewPrivs"] == "1"
        assert int(values["CapEff"], 16) == int(values["CapPrm"], 16) == 0
        assert told.splitlines()[-1] != "0"

    async def test_it_starts_in_the_working_directory_or_where_it_is_told(self, sandbox):
        await sandbox.exec("mkdir sub")
        here = (await sandbox.exec("pwd")).stdout.strip()
        assert (await sandbox.exec("pwd", cwd="sub")).stdout.strip() == f"{here}/sub"

    async def test_what_cannot_be_started_is_no_exit_code(self, sandbox):
        result = await sandbox.exec("true", cwd="nowhere")
        assert (result.return_code, result.error_type) == (125, "start")
        assert "No such file" in result.stderr

    async def test_many_run_at_once(self, sandbox):
        results = await asyncio.gather(*(sandbox.exec(f"sleep 0.05; echo {n}") for n in range(20)))
        assert [result.stdout for result in results] == [f"{n}\n" for n in range(20)]

    async def test_there_is_one_user(self, sandbox):
        assert (await sandbox.exec("true", user="sandbox")).return_code == 0
        with pytest.raises(InvalidSandbox, match="user 'root'"):
            await sandbox.exec("true", user="root")

    async def test_a_command_too_long_to_send_is_refused(self, sandbox):
        with pytest.raises(ValueError, match="at most"):
            await sandbox.exec("x" * 300_000)

    @pytest.mark.parametrize("command", ["echo $UNSET é 'q' \"d\" \\\\", "cat <<'END'\nline\nEND"])
    async def test_a_command_is_taken_as_it_is(self, sandbox, command):
        assert (await sandbox.exec(command)).return_code == 0


class TestTimeouts:
    async def test_the_whole_family_is_killed_also_who_left_the_session(self, sandbox):
        mark = f"9{os.getpid()}1"
        with pytest.raises(TimeoutError, match=r"more than 0\.5 seconds"):
            await sandbox.exec(
                f"(sleep {mark} & sleep {mark}) & setsid sleep {mark} & set -m; sleep {mark} & sleep {mark}",
                timeout_s=0.5,
            )
        await gone(mark)
        assert (await sandbox.exec("echo still here")).stdout == "still here\n"

    async def test_a_cancelled_command_is_killed(self, sandbox):
        mark = f"9{os.getpid()}2"
        task = asyncio.create_task(sandbox.exec(f"sleep {mark}"))
        async with asyncio.timeout(60):
            while not any(mark.encode() in command for command in commands()):
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone(mark)

    async def test_what_a_command_leaves_running_lives_until_the_sandbox_ends(self, provider):
        mark = f"9{os.getpid()}3"
        sandbox = await AsyncSandbox(provider).start()
        assert (await sandbox.exec(f"setsid sleep {mark} & echo started")).stdout == "started\n"
        assert (await sandbox.exec(f"pgrep -f 'sleep {mark}' | wc -l")).stdout.strip() != "0"
        await sandbox.stop()
        await gone(mark)

    async def test_a_time_to_live_ends_it(self, provider):
        sandbox = await AsyncSandbox(provider, SandboxSpec(ttl_s=0.5)).start()
        result = await sandbox.exec("sleep 600")
        assert (result.return_code, result.error_type) == (125, "sandbox_stopped")
        assert await sandbox.status() is SandboxStatus.STOPPED
        assert (await sandbox.exec("true")).error_type == "sandbox_stopped"
        await sandbox.stop()


class TestLimits:
    async def test_output_is_kept_from_both_ends(self, tmp_path):
        settings = {"local": {"exec": {"output_bytes": 1000}}}
        async with await AsyncSandbox(settings).start() as sandbox:
            result = await sandbox.exec("echo first; head -c 5000000 /dev/zero; echo; echo last")
        assert result.stdout.startswith("first\n")
        assert result.stdout.endswith("\nlast\n")
        assert "bytes left out ...]" in result.stdout
        assert len(result.stdout) < 1100

    async def test_memory_and_files_are_bounded(self, provider):
        spec = SandboxSpec(resources={"memory_mib": 256})
        async with await AsyncSandbox(provider, spec).start() as sandbox:
            ate = await sandbox.exec("python3 -c 'bytearray(1 << 30)'")
            assert "MemoryError" in ate.stderr
            limits = await sandbox.exec("ulimit -f; ulimit -c; ulimit -n")
        assert limits.stdout.split() == [str(1024 << 10), "0", "1024"]

    async def test_memory_of_all_processes_together_is_bounded(self, tmp_path):
        code = "import mmap; m = mmap.mmap(-1, 1 << 30)\nfor n in range(0, 1 << 30, 4096): m[n] = 1"
        spec = SandboxSpec(resources={"memory_mib": 200}, files={"code.py": code})
        async with await AsyncSandbox("local", spec).start() as sandbox:
            result = await sandbox.exec("for i in 1 2 3; do python3 code.py & done; wait", timeout_s=60)
            assert (result.return_code, "too much memory" in result.stderr) == (137, True)
            assert (await sandbox.exec("echo still here")).stdout == "still here\n"

    async def test_cores_are_as_many_as_asked_for(self, provider):
        async with await AsyncSandbox(provider, SandboxSpec(resources={"cpu": 0.5})).start() as sandbox:
            assert (await sandbox.exec("nproc")).stdout == "1\n"

    async def test_processes_are_bounded_where_they_can_be_counted(self, tmp_path):
        provider = LocalProvider(limits={"processes": 20})
        async with await AsyncSandbox(provider).start() as sandbox:
            told = await sandbox.exec("for i in $(seq 50); do sleep 0.2 & done; wait; echo $?")
            assert ("fork" in told.stderr) == await shut_in(sandbox)


class TestFiles:
    async def test_files_go_in_and_out(self, sandbox, tmp_path):
        source = tmp_path / "in.sh"
        source.write_bytes(b"#!/bin/sh\necho run\n\xff\x00")
        source.chmod(0o755)
        await sandbox.upload(source, "deep/er/in.sh")
        assert (await sandbox.exec("deep/er/in.sh")).stdout.startswith("run\n")
        await sandbox.download("deep/er/in.sh", tmp_path / "new" / "out.sh")
        assert (tmp_path / "new" / "out.sh").read_bytes() == source.read_bytes()

    async def test_a_spec_s_files_are_there_first(self, provider):
        spec = SandboxSpec(
            files={"a/b.txt": "héllo", "run": "x"}, entrypoint=["sh", "-c", "cat a/b.txt > started"]
        )
        async with await AsyncSandbox(provider, spec).start() as sandbox:
            told = await sandbox.exec("until [ -s started ]; do sleep 0.01; done; cat started")
        assert told.stdout == "héllo"

    @pytest.mark.parametrize(
        ("command", "message"),
        [("true", "No such file"), ("mkfifo out", "not a regular file"), ("mkdir out", "not a regular file")],
    )
    async def test_what_is_no_file_is_not_brought_out(self, sandbox, tmp_path, command, message):
        await sandbox.exec(command)
        with pytest.raises(SandboxFileError, match=message):
            await sandbox.download("out", tmp_path / "out")

    async def test_a_link_leads_nowhere_that_the_code_could_not_go(self, sandbox, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("hush")
        secret.chmod(0o600)
        await sandbox.exec(f"ln -s {secret} out")
        if await shut_in(sandbox) or os.geteuid() == 0:
            with pytest.raises(SandboxFileError, match=r"No such file|Permission denied"):
                await sandbox.download("out", tmp_path / "copy")
        else:
            await sandbox.download("out", tmp_path / "copy")  # it runs as the very user whose file it is

    async def test_nothing_is_written_outside(self, sandbox, tmp_path):
        (tmp_path / "x").write_text("x")
        with pytest.raises(SandboxFileError, match=r"Read-only|Permission denied|outside"):
            await sandbox.upload(tmp_path / "x", "/usr/x")
        await sandbox.upload(tmp_path / "x", "y")
        with pytest.raises(SandboxFileError, match="can't be copied"):
            await sandbox.upload(tmp_path / "none", "y")
        assert (await sandbox.exec("cat y")).stdout == "x"

    async def test_a_folder_made_unreadable_is_removed_all_the_same(self, sandbox):
        await sandbox.exec("mkdir -p a/b && touch a/b/c && chmod 000 a/b a")


class TestIsolation:
    async def test_the_machine_is_out_of_sight_or_that_is_said(self, sandbox, tmp_path, caplog):
        (tmp_path / "secret").write_text("hush")
        look = await sandbox.exec(
            f"cat {tmp_path}/secret; ls {Path(__file__).parent}; ls /etc/ssh /root/.ssh"
        )
        processes = int((await sandbox.exec("ls -d /proc/[0-9]* | wc -l")).stdout)
        parent = await sandbox.exec(f"tr '\\0' ' ' < /proc/{os.getpid()}/cmdline")
        devices = await sandbox.exec("ls /dev")
        if await shut_in(sandbox):
            assert look.stdout == ""
            assert processes < 10
            assert parent.return_code != 0
            assert set(devices.stdout.split()) == {
                "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
                "tty", "urandom", "zero",
            }  # fmt: skip
        else:
            assert "NOT isolated" in (await said(caplog))

    async def test_the_network_is_out_of_reach_or_that_is_said(self, sandbox):
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            told = await sandbox.exec(
                f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 2)'"
            )
        assert (told.return_code != 0) == await shut_in(sandbox)

    async def test_the_system_is_read_only(self, sandbox):
        told = await sandbox.exec("touch /usr/x /etc/x /x; echo x > /proc/sys/kernel/core_pattern")
        assert told.return_code != 0
        assert not Path("/usr/x").exists()
        assert not Path("/x").exists()

    async def test_the_supervisor_cannot_be_killed_or_looked_into(self, sandbox):
        if await shut_in(sandbox):
            told = await sandbox.exec("kill -9 1; cat /proc/1/environ /proc/1/mem; ls /proc/1/fd; echo alive")
            assert told.stdout == "alive\n"
            assert await sandbox.status() is SandboxStatus.RUNNING
        else:
            assert not (await sandbox._provider.isolation()).namespaces

    async def test_the_package_s_own_data_is_out_of_sight(self, tmp_path):
        folder = Path(sys.modules["nemo_gym"].__file__).parent
        provider = LocalProvider(create={"readable": [str(folder)]})
        async with await AsyncSandbox(provider).start() as sandbox:
            if await shut_in(sandbox):
                assert (await sandbox.exec(f"ls -A {folder}")).stdout == ""

    async def test_that_holds_where_a_writable_folder_lies_above_it(self, tmp_path):
        installed = Path(sys.modules["nemo_gym"].__file__).parent
        folder = tmp_path / "nemo_gym"  # below /tmp, which is the sandbox's own inside
        shutil.copytree(installed, folder, ignore=shutil.ignore_patterns("__pycache__"))
        program = f"""
import asyncio, nemo_gym
from nemo_gym.sandbox import AsyncSandbox
from nemo_gym.sandbox.providers.local.provider import LocalProvider

async def main():
    assert nemo_gym.__file__.startswith({str(folder)!r})
    provider = LocalProvider(create={{"readable": [{str(folder)!r}]}})
    async with await AsyncSandbox(provider).start() as sandbox:
        if (await provider.isolation()).namespaces:
            assert (await sandbox.exec("ls -A {folder}")).stdout == ""

asyncio.run(main())
"""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program), env={**os.environ, "PYTHONPATH": str(tmp_path)}
        )
        assert await child.wait() == 0

    async def test_isolation_can_be_required(self, monkeypatch):
        settings = {"local": {"create": {"isolation": "required"}}}
        monkeypatch.setattr(
            "nemo_gym.sandbox.providers.local.provider.Control.start",
            refused("user namespaces are not permitted"),
        )
        with pytest.raises(
            SandboxCreateError, match="can't be isolated here: user namespaces are not permitted"
        ):
            await AsyncSandbox(settings).start()

    async def test_isolation_is_required_unless_somebody_says_otherwise(self, monkeypatch, caplog):
        monkeypatch.delenv("NEMO_GYM_ALLOW_UNSAFE", raising=False)
        monkeypatch.setattr(
            "nemo_gym.sandbox.providers.local.provider.Control.start",
            refused("user namespaces are not permitted"),
        )
        for provider in ("local", LocalProvider(), {"local": {"create": {"network": "host"}}}):
            with pytest.raises(NotIsolated) as told:
                await AsyncSandbox(provider).start()
            assert "allow_unsafe" in str(told.value)
            assert told.value.settings == ("allow_unsafe",)
            assert "create: {isolation: auto}" in str(told.value)
        assert "NOT isolated" not in caplog.text
        monkeypatch.setenv("NEMO_GYM_ALLOW_UNSAFE", "")  # so that it is put back
        allow_unsafe()
        assert not (await LocalProvider().isolation()).namespaces
        assert "NOT isolated" in caplog.text
        with pytest.raises(NotIsolated):
            await AsyncSandbox({"local": {"create": {"isolation": "required"}}}).start()

    async def test_the_machine_s_network_is_given_where_it_is_asked_for(self):
        async with await AsyncSandbox({"local": {"create": {"network": "host"}}}).start() as sandbox:
            own = os.readlink("/proc/self/ns/net")
            assert (await sandbox.exec("readlink /proc/self/ns/net")).stdout.strip() == own


class TestPorts:
    async def test_a_declared_port_is_reached_from_outside(self, provider):
        port = 8000 if (await provider.isolation()).namespaces else free_port()
        async with await AsyncSandbox(
            provider, SandboxSpec(ports=[port], files={"index.html": "hello"})
        ).start() as sandbox:
            await sandbox.exec(f"python3 -m http.server -b 127.0.0.1 {port} > log 2>&1 &")
            endpoint = await sandbox.endpoint(port)
            async with asyncio.timeout(60):
                while b"hello" not in (answer := await get(endpoint.endpoint)):
                    await asyncio.sleep(0.02)
            assert answer.endswith(b"hello")
            with pytest.raises(InvalidSandbox, match="port 1 is not in"):
                await sandbox.endpoint(1)


class TestLife:
    async def test_it_must_be_started_and_stops_once(self, provider):
        sandbox = AsyncSandbox(provider)
        with pytest.raises(RuntimeError, match="not running"):
            await sandbox.exec("true")
        await sandbox.start()
        assert await sandbox.status() is SandboxStatus.RUNNING
        with pytest.raises(RuntimeError, match="started already"):
            await sandbox.start()
        await sandbox.stop()
        await sandbox.stop()
        assert await sandbox.status() is SandboxStatus.STOPPED
        with pytest.raises(SandboxNotStarted):
            await sandbox.exec("true")

    async def test_it_ends_with_the_process_that_made_it(self, tmp_path):
        mark = f"9{os.getpid()}4"
        program = f"""
import asyncio, os, signal
from nemo_gym.sandbox import AsyncSandbox
async def main():
    sandbox = await AsyncSandbox({{"local": {{"create": {{"folder": {str(tmp_path)!r}}}}}}}).start()
    await sandbox.exec("setsid sleep {mark} > /dev/null 2>&1 &")
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await process.wait() == -signal.SIGKILL
        await gone(mark)

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            (SandboxSpec(image="python:3.12"), "runs no images"),
            (SandboxSpec(resources={"gpu": 1}), "no GPUs"),
            (SandboxSpec(entrypoint=["no-such-program"]), "can't be prepared"),
            (SandboxSpec(workdir="/"), "can't be"),
        ],
    )
    async def test_what_it_cannot_be_is_refused_and_leaves_nothing(self, provider, spec, message):
        with pytest.raises(SandboxCreateError, match=message):
            await AsyncSandbox(provider, spec).start()

    async def test_an_image_can_be_done_without(self, tmp_path):
        async with await AsyncSandbox(
            {"local": {"create": {"ignore_image": True}}}, SandboxSpec(image="i")
        ).start() as sandbox:
            assert (await sandbox.exec("echo here")).stdout == "here\n"

    async def test_it_cannot_be_handed_over(self, sandbox):
        with pytest.raises(SandboxUnsupported, match="'local' can't hand a sandbox over"):
            sandbox.serialize()
        with pytest.raises(SandboxUnsupported, match="'local' can't attach"):
            await sandbox.pty.attach("x")

    async def test_its_working_directory_can_be_named_where_it_is_shut_in(self, provider):
        spec = SandboxSpec(workdir="/testbed")
        if (await provider.isolation()).namespaces:
            async with await AsyncSandbox(provider, spec).start() as sandbox:
                assert (await sandbox.exec("pwd; touch x")).stdout == "/testbed\n"
        else:
            with pytest.raises(SandboxCreateError, match="without isolation"):
                await AsyncSandbox(provider, spec).start()


class TestSessions:
    async def test_a_terminal_is_one(self, sandbox):
        async with await sandbox.pty.create(SandboxPtySpec(rows=30, cols=100)) as session:
            await session.write(b"stty size; test -t 0 && echo term''inal; exit 7\n")
            shown = b"".join([part async for part in session])
            assert await session.wait_exit() == 7
        assert b"30 100" in shown
        assert b"terminal" in shown

    async def test_a_resized_terminal_is_told(self, sandbox):
        async with await sandbox.pty.exec("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done") as session:  # fmt: skip  # noqa: E501
            shown = await session.read()
            await session.resize(40, 120)
            shown += b"".join([part async for part in session])
        assert b"40 120" in shown

    async def test_pipes_keep_the_streams_apart(self, sandbox):
        async with await sandbox.pty.create(command="cat; echo err >&2; exit 3", pty=False) as session:
            await session.write(b"in")
            assert await session.read() == b"in"
            with pytest.raises(SandboxPtyError, match="has no size"):
                await session.resize(1, 1)
            await session.send_signal(signal.SIGTERM)
            assert await session.wait_exit() == 128 + signal.SIGTERM
            assert await session.read_stderr() == b""

    async def test_a_closed_session_leaves_nothing(self, sandbox):
        mark = f"9{os.getpid()}5"
        session = await sandbox.pty.exec(f"setsid sleep {mark} & sleep {mark}", pty=False)
        await session.close()
        await session.close()
        await gone(mark)
        with pytest.raises(SandboxPtyError, match="closed"):
            await session.read()

    async def test_a_program_that_is_not_there_is_said(self, sandbox):
        with pytest.raises(SandboxPtyError, match="can't be started"):
            await sandbox.pty.create(cwd="nowhere")


def refused(why: str):
    async def start(*_):
        raise SandboxCreateError(why)

    return start


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def get(url: str) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except ConnectionError:
        return b""
    return answer


async def said(caplog) -> str:
    provider = LocalProvider(create={"isolation": "off"})
    caplog.clear()
    await provider.isolation()
    return caplog.text


class TestReach:
    async def test_a_server_of_this_machine_and_no_other(self, sandbox):
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nfound")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        there = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path"
        url = await sandbox.reach(there)
        assert url == await sandbox.reach(there)
        script = f"import urllib.request as r; print(r.urlopen('{url}').read().decode())"
        assert (await sandbox.exec(f'python3 -c "{script}"')).stdout == "found\n"
        server.close()
        await server.wait_closed()

    async def test_connections_are_counted(self, provider, monkeypatch):
        monkeypatch.setattr("nemo_gym.sandbox.relay.MOST_CONNECTIONS", 2)

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await AsyncSandbox(provider).start() as sandbox:
            if not await shut_in(sandbox):
                return
            server = await asyncio.start_server(hold, "127.0.0.1", 0)
            url = await sandbox.reach(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            script = (
                f"import socket; at = ('127.0.0.1', {url.rpartition(':')[2]})\n"
                "held = [socket.create_connection(at) for _ in range(3)]\n"
                "held[-1].settimeout(60); print(held[-1].recv(1))"
            )
            assert (await sandbox.exec(f'python3 -c "{script}"')).stdout == "b''\n"
            server.close()

    async def test_https_is_itself_under_its_own_name_only(self, sandbox):
        if await shut_in(sandbox):
            with pytest.raises(SandboxUnsupported, match="only http can"):
                await sandbox.reach("https://127.0.0.1:9")
