"""Landlock: its rule sets, when it is used, and a sandbox that it isolates."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxPtySpec, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.errors import (
    InvalidSandbox,
    NotIsolated,
    SandboxCreateError,
    SandboxFileError,
    SandboxUnsupported,
)
from nemo_gym.sandbox.providers.local import LocalProvider, landlock
from nemo_gym.sandbox.providers.local import provider as provider_module
from nemo_gym.sandbox.providers.local.landlock import READ, TRUNCATION, USE, WRITE, reason_against, without
from tests.sandbox.test_supervisor import PYTHON, SABOTAGE

NEEDS_LANDLOCK = pytest.mark.skipif(
    bool(reason_against(landlock.version(), root=os.geteuid() == 0)), reason="this kernel has no Landlock"
)


class Kernel:
    """Takes down the calls of Landlock."""

    def __init__(self) -> None:
        self.rulesets: list[tuple[int, ...]] = []
        self.rules: list[tuple[str, int]] = []

    def syscall(self, number: int, *arguments: int | bytes) -> int:
        if number == 444:
            attributes, size, flags = arguments
            assert isinstance(attributes, bytes)
            assert (len(attributes), flags) == (size, 0)
            self.rulesets.append(struct.unpack("QQQ", attributes))
            return os.open(os.devnull, os.O_RDONLY)
        _, kind, rule, flags = arguments
        assert isinstance(rule, bytes)
        rights, fd = struct.unpack("=Qi", rule)
        assert (number, kind, flags) == (445, 1, 0)
        self.rules.append((os.readlink(f"/proc/self/fd/{fd}"), rights))
        return 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(landlock, "_libc", kernel)
    return kernel


class TestRuleSets:
    @pytest.mark.parametrize(
        ("version", "rights", "tcp", "scope"),
        [
            (1, 0x1FFF, 0, 0), (2, 0x3FFF, 0, 0), (3, 0x7FFF, 0, 0), (4, 0x7FFF, 3, 0), (5, 0xFFFF, 3, 0),
            (6, 0xFFFF, 3, 3), (7, 0xFFFF, 3, 3), (99, 0xFFFF, 3, 3),
        ],
    )  # fmt: skip
    def test_all_rights_that_a_version_knows_are_controlled(
        self, version: int, rights: int, tcp: int, scope: int, kernel: Kernel
    ) -> None:
        with landlock.rulesets({}, network=False, version=version) as files:
            assert set(files) == {"outer", "inner"}
        assert kernel.rulesets == [(rights, tcp, scope), (rights, tcp, 0)]
        assert kernel.rules == [("/proc", 0b1100)]
        with landlock.rulesets({}, network=True, version=version):
            assert kernel.rulesets[2:] == [(rights, 0, scope), (rights, 0, 0)]

    def test_a_rule_has_the_rights_of_its_kind_of_file(self, kernel: Kernel, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        rules = {str(tmp_path): WRITE, str(tmp_path / "file"): READ, "/dev/null": USE, "/nowhere": READ}
        with landlock.rulesets(rules, network=False, version=4):
            devices = 0x4006  # without device control, which version 4 does not know
            expected = [(str(tmp_path), 0x77BF), (str(tmp_path / "file"), 0x5), ("/dev/null", devices)]
            assert kernel.rules == [*expected, ("/proc", 0xC), *expected]

    def test_nothing_stays_open(self, kernel: Kernel, tmp_path: Path) -> None:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(PermissionError), landlock.rulesets({}, network=False, version=4):
            raise PermissionError
        assert os.listdir("/proc/self/fd") == before

    def test_a_hidden_folder_is_left_out(self, tmp_path: Path) -> None:
        hidden, other = tmp_path / "a" / "hidden", tmp_path / "a" / "other"
        for folder in (hidden / "deep", other, tmp_path / "b"):
            folder.mkdir(parents=True)
        (tmp_path / "a" / "link").symlink_to(hidden)
        rules = without(str(tmp_path), [str(hidden)])
        assert {path for path, rights in rules.items() if rights == READ} == {str(other), str(tmp_path / "b")}
        assert set(rules) == {str(tmp_path), str(tmp_path / "a"), str(other), str(tmp_path / "b")}
        assert without(str(hidden), [str(hidden)]) == {}
        assert without(str(tmp_path / "a" / "link"), [str(hidden)]) == {}
        assert without(str(tmp_path / "b"), [str(hidden)]) == {str(tmp_path / "b"): READ}

    @pytest.mark.parametrize(
        ("version", "root", "enough"),
        [(0, True, False), (2, True, False), (3, True, True), (5, False, False), (6, False, True)],
    )
    def test_it_has_to_be_new_enough(self, version: int, root: bool, enough: bool) -> None:
        assert (reason_against(version, root=root) == "") == enough


def blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the start of bubblewrap fail as where the kernel permits no user namespaces."""
    monkeypatch.setattr("nemo_gym.sandbox.providers.local.jail.bwrap", lambda: "/bin/false")


class TestTheChoice:
    async def test_namespaces_come_first(self) -> None:
        assert (await LocalProvider(create={"isolation": "required"}).isolation()).namespaces

    @NEEDS_LANDLOCK
    async def test_it_is_used_where_there_are_no_namespaces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        blocked(monkeypatch)
        for isolation in ("required", "auto"):
            async with AsyncSandbox(LocalProvider(create={"isolation": isolation})) as sandbox:
                await sandbox.start()
                assert sandbox.isolation == "landlock"

    async def test_it_does_not_replace_namespaces_that_are_required(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blocked(monkeypatch)
        with pytest.raises(NotIsolated) as refusal:
            await AsyncSandbox(LocalProvider(create={"isolation": "namespaces"})).start()
        assert "Landlock" not in refusal.value.why
        with pytest.raises(NotIsolated):
            await LocalProvider(create={"isolation": "namespaces"}).run_python(Program("1"))

    async def test_an_old_kernel_is_refused_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        blocked(monkeypatch)
        monkeypatch.setattr(provider_module, "version", lambda: TRUNCATION - 1)
        for isolation in ("required", "landlock"):
            with pytest.raises(NotIsolated) as refusal:
                await AsyncSandbox(LocalProvider(create={"isolation": isolation})).start()
            assert "Landlock is not enough: the kernel has version 2 of Landlock" in str(refusal.value)
            assert "\n" not in str(refusal.value)

    @NEEDS_LANDLOCK
    async def test_a_wall_with_a_hole_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Open(provider_module.Layout):
            def rules(self, create: object) -> dict[str, int]:
                return {**super().rules(create), str(self.folder): READ}  # type: ignore[arg-type]

        monkeypatch.setattr(provider_module, "Layout", Open)
        with pytest.raises(NotIsolated, match="not enough: code in the sandbox reads files outside\\."):
            await AsyncSandbox(LocalProvider(create={"isolation": "landlock"})).start()

    @NEEDS_LANDLOCK
    async def test_a_sandbox_in_which_nothing_runs_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provider_module.Layout, "rules", lambda *_: {})
        with pytest.raises(NotIsolated, match="not enough"):
            await AsyncSandbox(LocalProvider(create={"isolation": "landlock"})).start()

    @NEEDS_LANDLOCK
    async def test_where_users_are_missing_it_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nobody = "nemo_gym.sandbox.providers.local.layout._unique_id"
        monkeypatch.setattr(nobody, lambda: provider_module.NOBODY)
        provider = LocalProvider(create={"isolation": "landlock"})
        if os.geteuid() == 0:
            with pytest.raises(NotIsolated, match="can't run programs as a user of their own"):
                await AsyncSandbox(provider).start()
        else:
            assert (await provider.isolation()).landlock

    @pytest.mark.parametrize("name", ["landlok", "namespace", True])
    def test_another_name_is_an_error(self, name: object) -> None:
        with pytest.raises(InvalidSandbox, match="required, auto, namespaces, landlock, off"):
            LocalProvider(create={"isolation": name})


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield folder
        assert os.listdir(folder) == []


@pytest.fixture(scope="module")
def provider(folder: str) -> LocalProvider:
    return LocalProvider(create={"isolation": "landlock", "folder": folder})


@pytest.fixture
async def sandbox(provider: LocalProvider) -> AsyncIterator[AsyncSandbox]:
    async with await AsyncSandbox(provider).start() as sandbox:
        yield sandbox


@NEEDS_LANDLOCK
class TestASandbox:
    async def test_code_works_in_its_own_folders_only(self, sandbox: AsyncSandbox) -> None:
        result = await sandbox.exec(
            "mkdir a && echo x > a/b && mv a/b $TMPDIR/c && cp $TMPDIR/c $HOME/d && cat $HOME/d; ln -s d e;"
            "mkfifo f; echo '#!/bin/sh\necho script' > g; sh g; rm -r a; echo > /dev/null;"
            "head -c2 /dev/zero | wc -c"
        )
        assert (result.stdout, result.stderr) == ("x\nscript\n2\n", "")
        outside = await sandbox.exec("touch ../x; touch /tmp/x; touch /dev/shm/x; ls .. /tmp /dev/shm / /dev")
        assert outside.stdout == ""
        assert outside.stderr.count("Permission denied") == 8

    async def test_files_go_in_and_out_but_no_description_of_a_process(
        self, sandbox: AsyncSandbox, tmp_path: Path
    ) -> None:
        (tmp_path / "in").write_text("text")
        await sandbox.upload(tmp_path / "in", "deep/in")
        await sandbox.download("deep/in", tmp_path / "out")
        assert (tmp_path / "out").read_text() == "text"
        await sandbox.exec(f"ln -s /proc/{os.getpid()}/cmdline a; ln -s /etc/shadow b; ln -s /proc/meminfo c")
        for name in ("a", "b", "c"):
            with pytest.raises(SandboxFileError, match="Permission denied"):
                await sandbox.download(name, tmp_path / name)
        (tmp_path / "folder").mkdir()
        await sandbox.download_folder("deep", tmp_path / "folder", most_bytes=1000)
        assert (tmp_path / "folder" / "in").read_text() == "text"

    async def test_commands_reach_each_other(self, sandbox: AsyncSandbox) -> None:
        await sandbox.exec("sleep 600 & echo $! > pid")
        assert (await sandbox.exec("kill $(cat pid) && echo killed")).stdout == "killed\n"

    async def test_a_late_command_is_killed_with_what_it_started(self, sandbox: AsyncSandbox) -> None:
        with pytest.raises(TimeoutError):
            await sandbox.exec("echo $$ > pids; setsid sleep 600 & echo $! >> pids; sleep 600", timeout_s=0.5)
        alive = "for pid in $(cat pids); do kill -0 $pid && echo alive; done; echo end"
        assert (await sandbox.exec(alive)).stdout == "end\n"

    async def test_everything_ends_with_the_sandbox(self, provider: LocalProvider) -> None:
        sandbox = await AsyncSandbox(provider).start()
        pid = int((await sandbox.exec("setsid sleep 600 > /dev/null 2>&1 & echo $!")).stdout)
        os.kill(pid, 0)
        await sandbox.stop()
        async with asyncio.timeout(60):
            while Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.01)

    async def test_sabotage_of_the_supervisor_has_no_effect(self, provider: LocalProvider) -> None:
        attempts = SABOTAGE | {
            "by its group": "os.killpg(FIRST, 9)",
            "killed by a descriptor": (
                "import fcntl, socket\na, b = socket.socketpair()\nfcntl.fcntl(a, fcntl.F_SETOWN, FIRST)\n"
                "fcntl.fcntl(a, 10, 9)\nfcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC)\nb.send(b'x')"
            ),
        }
        start = f"{PYTHON}FIRST = os.getppid()\n"
        files = {f"{place}.py": start + code for place, code in enumerate(attempts.values())}
        async with await AsyncSandbox(provider, SandboxSpec(files=files)).start() as sandbox:
            for name in files:
                await sandbox.exec(f"exec python3 -I -S {name}")
            result = await sandbox.exec("echo still here; ulimit -n; nice")
            assert (result.stdout, result.error_type) == ("still here\n1024\n0\n", None)
            assert await sandbox.status() is SandboxStatus.RUNNING

    async def test_memory_processes_and_files_of_all_programs_are_limited(
        self, provider: LocalProvider
    ) -> None:
        spec = SandboxSpec(
            resources={"memory_mib": 150}, provider_options={"local": {"limits": {"processes": 20}}}
        )
        async with await AsyncSandbox(provider, spec).start() as sandbox:
            memory = "python3 -c 'import time; x = b\"x\" * (90 << 20); time.sleep(600)' & "
            result = await sandbox.exec(f"{memory * 2} wait", timeout_s=60)
            assert (result.return_code, "too much memory" in result.stderr) == (137, True)
            many = await sandbox.exec("for i in $(seq 50); do sleep 0.2 & done; wait")
            assert "fork" in many.stderr
            result = await sandbox.exec(
                "for i in 1 2; do head -c 200M /dev/zero > $i; done; sleep 60", timeout_s=70
            )
            assert (result.return_code, "too much files" in result.stderr) == (137, True)
            await sandbox.exec("rm 1 2")
            assert (await sandbox.exec("echo still here")).stdout == "still here\n"

    async def test_a_program_that_ends_before_its_files_are_measured_does_not_escape_their_limit(
        self, provider: LocalProvider
    ) -> None:
        async with await AsyncSandbox(provider).start() as sandbox:
            result = await sandbox.exec("for i in 1 2 3; do fallocate -x -l 200M $i; done; echo done")
            assert (result.return_code, "too much files" in result.stderr) == (137, True)
            assert (await sandbox.exec("rm ?; echo fits")).stdout == "fits\n"

    async def test_one_program_runs_alone(self, provider: LocalProvider) -> None:
        result = await provider.run_python(
            Program("print(input(), open('x').read())", "in", files={"x": "file"})
        )
        assert (result.stdout, result.reason, result.isolation) == ("in file\n", "ok", "landlock")

    async def test_a_terminal_is_one(self, sandbox: AsyncSandbox) -> None:
        async with await sandbox.pty.create(SandboxPtySpec(rows=30, cols=100)) as session:
            await session.write(b"stty size < /dev/tty; exit 7\n")
            text = b"".join([part async for part in session])
            assert await session.wait_exit() == 7
        assert b"30 100" in text

    async def test_what_needs_a_network_is_refused(
        self, provider: LocalProvider, sandbox: AsyncSandbox
    ) -> None:
        with pytest.raises(
            SandboxCreateError, match=r"ports \[8000\] can't be reached with `isolation: landlock`"
        ):
            await AsyncSandbox(provider, SandboxSpec(ports=[8000])).start()
        with pytest.raises(SandboxUnsupported, match="permits no sockets"):
            await sandbox.reach("http://127.0.0.1:9")
        with pytest.raises(SandboxCreateError, match="without isolation by namespaces"):
            await AsyncSandbox(provider, SandboxSpec(workdir="/testbed")).start()

    async def test_the_network_of_this_machine_is_there_if_the_settings_say_so(self, folder: str) -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        provider = LocalProvider(create={"isolation": "landlock", "network": "host", "folder": folder})
        async with server, await AsyncSandbox(provider).start() as sandbox:
            assert sandbox.isolation == "landlock, host network"
            assert await sandbox.reach(f"http://127.0.0.1:{port}") == f"http://127.0.0.1:{port}"
            at = f"('127.0.0.1', {port})"
            code = f"import socket; print(socket.create_connection({at}).recv(1)); socket.socket(1)"
            result = await sandbox.exec(f'python3 -c "{code}"')
        assert result.stdout == "b''\n"
        assert "PermissionError" in result.stderr

    @pytest.mark.parametrize("version", [3, 4, 5])
    async def test_as_root_older_versions_are_enough(
        self, version: int, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(provider_module, "version", lambda: version)
        provider = LocalProvider(create={"isolation": "landlock", "folder": folder})
        if os.geteuid() == 0:
            async with await AsyncSandbox(provider).start() as sandbox:
                result = await sandbox.exec(f"kill -9 {os.getpid()}; kill -9 1; ls /root; touch x; echo end")
            assert result.stdout == "end\n"
        else:
            with pytest.raises(NotIsolated, match="version 6 is necessary"):
                await AsyncSandbox(provider).start()

    async def test_the_package_s_own_data_can_t_be_read(self, folder: str) -> None:
        package = Path(sys.modules["nemo_gym"].__file__ or "").parent
        settings = {"isolation": "landlock", "readable": [str(package.parent)], "folder": folder}
        async with await AsyncSandbox(LocalProvider(create=settings)).start() as sandbox:
            result = await sandbox.exec(
                f"cat {package}/__init__.py {package}/library/*/*/golden.jsonl; echo end"
            )
        assert result.stdout == "end\n"
        assert "Permission denied" in result.stderr

    async def test_it_is_the_supervisor_s_own_time_that_ends(self, provider: LocalProvider) -> None:
        sandbox = await AsyncSandbox(provider, SandboxSpec(ttl_s=0.5)).start()
        result = await sandbox.exec("trap '' TERM INT; sleep 600")
        assert result.error_type == "sandbox_stopped"
        await sandbox.stop()

    async def test_a_signal_to_everybody_stays_inside(
        self, provider: LocalProvider, sandbox: AsyncSandbox
    ) -> None:
        async with await AsyncSandbox(provider).start() as other:
            await other.exec("sleep 600 & echo $! > pid")
            code = f"import os; os.kill(-1, {signal.SIGKILL:d})"
            await sandbox.exec(f'python3 -c "{code}"')
            pid = (await other.exec("cat pid")).stdout.strip()
            assert (await sandbox.exec(f"kill -9 {pid}")).return_code != 0
            assert (await other.exec(f"kill -0 {pid} && echo alive")).stdout == "alive\n"
