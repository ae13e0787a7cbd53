"""Control groups: a copy of their files in an ordinary folder, and real ones where they can be created."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxPool, SandboxSpec
from nemo_gym.sandbox.errors import SandboxCreateError
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.sandbox.providers.local.groups import Group, Groups, limiting_group, own_group

MEMORY = 64 << 20


class Kernel:
    """The files that the kernel shows in a group, in an ordinary folder. A group with processes can't be
    removed, and they end when the group is killed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.removed: list[dict[str, str]] = []
        make, remove = Path.mkdir, Path.rmdir

        def mkdir(path: Path, *arguments: object, **options: object) -> None:
            make(path, *arguments, **options)  # type: ignore[arg-type]
            if path.parent == folder:
                (path / "cgroup.procs").touch()
                (path / "cgroup.kill").touch()
                (path / "memory.events").write_text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n")
                (path / "cpu.stat").write_text("usage_usec 250000\nuser_usec 1\nsystem_usec 1\n")

        def rmdir(path: Path) -> None:
            if path.parent == folder:
                if path.exists() and (path / "cgroup.kill").read_text() != "1":
                    raise OSError(errno.EBUSY, "processes are left")
                files = list(path.iterdir())
                self.removed.append({file.name: file.read_text() for file in files})
                for file in files:
                    file.unlink()
            remove(path)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(Path, "rmdir", rmdir)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


class TestACopy:
    def test_a_group_has_limits_and_is_removed_at_the_end(self, kernel: Kernel) -> None:
        group = Groups(str(kernel.folder)).create(memory=MEMORY, processes=20)
        assert group is not None
        assert group.cpu_s() == 0.25
        with group.files() as files:
            assert set(files) == {"processes", "events", "memory"}
            assert not any(os.get_inheritable(fd) for fd in files.values())
        group.remove()
        group.remove()
        assert os.listdir(kernel.folder) == []
        (files,) = kernel.removed
        assert (files["memory.max"], files["memory.swap.max"], files["memory.oom.group"]) == (
            str(MEMORY), "0", "1",
        )  # fmt: skip
        assert files["pids.max"] == "20"

    def test_no_limit_is_set_where_there_is_none(self, kernel: Kernel) -> None:
        group = Groups(str(kernel.folder)).create(memory=None, processes=None)
        assert group is not None
        assert {"memory.max", "pids.max"}.isdisjoint(os.listdir(group.folder))
        with group.files() as files:
            assert set(files) == {"processes"}

    def test_groups_of_dead_processes_are_removed(self, tmp_path: Path) -> None:
        dead = subprocess.Popen(["true"])
        dead.wait()
        for name in (f"gym-sandbox-{dead.pid}-0a", f"gym-sandbox-{os.getpid()}-0b", "other"):
            (tmp_path / name).mkdir()
        Groups(str(tmp_path))
        assert sorted(os.listdir(tmp_path)) == [f"gym-sandbox-{os.getpid()}-0b", "other"]

    def test_without_permission_there_are_no_groups(self, tmp_path: Path) -> None:
        assert Groups(str(tmp_path / "none")).create(memory=1, processes=1) is None
        groups = Groups(str(tmp_path))
        groups.give_up()
        assert groups.create(memory=1, processes=1) is None
        assert os.listdir(tmp_path) == []

    async def test_a_sandbox_without_permission_to_join_does_without(self, tmp_path: Path) -> None:
        (tmp_path / "groups").mkdir()
        read_only = LocalProvider(create={"cgroup": "/proc/self"})
        async with AsyncSandbox(read_only) as sandbox:
            await sandbox.start()
            result = await sandbox.exec("echo here")
        assert (result.stdout, result.usage and result.usage.source) == ("here\n", "wait4")

    async def test_each_program_joins_and_only_the_supervisor_stays_outside(self, kernel: Kernel) -> None:
        provider = LocalProvider(create={"cgroup": str(kernel.folder)}, limits={"processes": 30})
        spec = SandboxSpec(resources={"memory_mib": 100})
        async with AsyncSandbox(provider, spec) as sandbox:
            await sandbox.start()
            (group,) = [
                place for place in kernel.folder.glob("gym-sandbox-*") if (place / "pids.max").exists()
            ]
            before = (group / "cgroup.procs").read_text()
            result = await sandbox.exec("echo here")
            assert (group / "cgroup.procs").read_text() == before + "0"
            assert (result.stdout, result.usage and result.usage.source) == ("here\n", "cgroup")
            assert not any(name.startswith("cgroup") for name in (await sandbox.exec("ls /")).stdout.split())
            (group / "memory.events").write_text("oom 1\noom_kill 3\n")
            result = await sandbox.exec("kill -9 $$")
            assert "too much memory" in result.stderr
            assert "too much" not in (await sandbox.exec("kill -9 $$")).stderr
        assert kernel.removed[-1]["memory.max"] == str(100 << 20)
        assert kernel.removed[-1]["pids.max"] == "30"
        assert list(kernel.folder.glob("gym-sandbox-*")) == []

    async def test_the_group_of_a_sandbox_that_can_t_be_started_is_removed(
        self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> object:
            raise OSError(errno.EMFILE, "Too many open files")

        provider = LocalProvider(create={"cgroup": str(kernel.folder)})
        await provider.isolation()
        monkeypatch.setattr(socket, "socketpair", refuse)
        with pytest.raises(SandboxCreateError, match="Too many open files"):
            await provider.create(SandboxSpec())
        assert list(kernel.folder.glob("gym-sandbox-*")) == []

    async def test_groups_are_made_and_read_in_threads(
        self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here, threads = threading.current_thread(), list[threading.Thread]()
        create, cpu_s, files = Groups.create, Group.cpu_s, Group.files

        def noting(call: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*arguments: Any, **options: Any) -> Any:
                threads.append(threading.current_thread())
                return call(*arguments, **options)

            return noted

        provider = LocalProvider(create={"cgroup": str(kernel.folder)})
        monkeypatch.setattr(Groups, "create", noting(create))
        monkeypatch.setattr(Group, "cpu_s", noting(cpu_s))
        monkeypatch.setattr(Group, "files", noting(files))
        async with AsyncSandbox(provider) as sandbox:
            await sandbox.start()
            await sandbox.exec("true")
        assert len(threads) > 3
        assert here not in threads

    async def test_a_warm_sandbox_has_the_limit_of_its_program(self, kernel: Kernel) -> None:
        pool = SandboxPool({"local": {"create": {"cgroup": str(kernel.folder)}}})
        result = await pool.run_python(Program("print(1)", memory_mib=77))
        assert result.stdout == "1\n"
        await pool.aclose()
        assert kernel.removed[-1]["memory.max"].startswith(str(77 << 20))
        assert list(kernel.folder.glob("gym-sandbox-*")) == []


class TestTheOwnGroup:
    def test_a_place_passes_limits_on(self, tmp_path: Path) -> None:
        (own := tmp_path / "own").mkdir()
        assert limiting_group(None) is None
        assert limiting_group(own) is None
        (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
        assert limiting_group(own) == tmp_path
        (own / "cgroup.subtree_control").write_text("cpu memory\n")
        assert limiting_group(own) == tmp_path
        (own / "cgroup.subtree_control").write_text("memory pids\n")
        assert limiting_group(own) == own

    @pytest.mark.parametrize(
        ("group", "mount", "inside"),
        [
            ("/a/b", "/", "a/b"),
            ("/", "/", ""),
            ("/docker/x", "/docker/x", ""),
            ("/docker/x/y", "/docker/x", "y"),
        ],
    )
    def test_it_is_where_the_kernel_mounts_it(
        self, tmp_path: Path, group: str, mount: str, inside: str
    ) -> None:
        point = tmp_path / "point"
        (point / inside).mkdir(parents=True)
        (tmp_path / "cgroup").write_text(f"4:memory:/other\n0::{group}\n")
        (tmp_path / "mountinfo").write_text(
            "1 2 0:5 / /proc rw - proc proc rw\n"
            f"30 24 0:26 {mount} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
        )
        assert own_group(tmp_path) == point / inside

    @pytest.mark.parametrize("text", ["", "4:memory:/a\n", "0::/../above\n", "0::/gone\n"])
    def test_there_may_be_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "above").mkdir()
        (tmp_path / "point").mkdir()
        (tmp_path / "cgroup").write_text(text)
        (tmp_path / "mountinfo").write_text(f"30 24 0:26 / {tmp_path}/point rw - cgroup2 cgroup2 rw\n")
        assert own_group(tmp_path) is None
        assert own_group(tmp_path / "nowhere") is None


class TestTheRealKernel:
    """Where this process may create no group, the measurement is the one without groups."""

    async def test_cpu_time_is_that_of_all_processes(self) -> None:
        burn = "import time\nwhile time.process_time() < 0.3: pass"
        burn += "\nopen('end', 'w')"
        code = f"import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: exec({burn!r})\n"
        provider = LocalProvider(create={"cgroup": str(own_group() or "/nowhere")})
        async with AsyncSandbox(provider, SandboxSpec(files={"burn.py": code})) as sandbox:
            await sandbox.start()
            control = sandbox._handle.raw.control
            result = await sandbox.exec(
                f"{sys.executable.split('/')[-1]} burn.py; until [ -e end ]; do sleep 0.05; done"
            )
            assert result.usage is not None
            group = control.group
            if group is None:
                assert result.usage.source == "wait4"
            else:
                assert result.usage.source == "cgroup"
                assert result.usage.cpu_time_s >= 0.3
                assert group.folder.exists()
        await provider.aclose()
        assert group is None or not group.folder.exists()

    async def test_a_group_with_processes_is_killed_and_removed(self) -> None:
        group = Groups(str(own_group() or "/nowhere")).create(memory=None, processes=None)
        if group is None:
            assert not os.access(own_group() or "/nowhere", os.W_OK)
            return
        process = await asyncio.create_subprocess_exec("sleep", "600")
        (group.folder / "cgroup.procs").write_text(str(process.pid))
        await asyncio.to_thread(group.remove)
        assert await asyncio.wait_for(process.wait(), 60) == -9
        assert not group.folder.exists()
