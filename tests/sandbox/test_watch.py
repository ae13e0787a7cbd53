"""Limits that are measured from time to time: what hides from a measurement, and what ends before one."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxPool, SandboxSpec
from nemo_gym.sandbox.providers.local import LocalProvider, landlock
from nemo_gym.sandbox.providers.local.landlock import reason_against

NEEDS_LANDLOCK = pytest.mark.skipif(
    bool(reason_against(landlock.version(), root=os.geteuid() == 0)), reason="this kernel has no Landlock"
)
TWO_FILES = "fallocate -x -l 200M 1 && fallocate -x -l 200M 2"
"""More than the 256 MiB of a sandbox without a file system of its own."""


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield folder
        assert os.listdir(folder) == []


@pytest.fixture(scope="module")
def landlocked(folder: str) -> LocalProvider:
    return LocalProvider(create={"isolation": "landlock", "folder": folder})


@pytest.fixture
async def sandbox(landlocked: LocalProvider) -> AsyncIterator[AsyncSandbox]:
    async with await AsyncSandbox(landlocked).start() as sandbox:
        yield sandbox


async def python(sandbox: AsyncSandbox, code: str) -> tuple[int, str, bool]:
    """The exit code of a program, its output, and whether it was killed because of its files."""
    result = await sandbox.exec(f"exec python3 -I -S -c '{code}'", timeout_s=60)
    return result.return_code, result.stdout or "", "too much files" in (result.stderr or "")


@NEEDS_LANDLOCK
class TestFilesOnTheDisk:
    async def test_a_folder_that_nobody_may_read_is_measured(self, sandbox: AsyncSandbox) -> None:
        code = (
            'import os\nos.umask(0o477)\nos.makedirs("d/e")\nos.chdir("d/e")\n'
            'files = [os.open(n, os.O_CREAT | os.O_WRONLY) for n in "12"]\n'
            'os.chmod("..", 0)\nos.chmod(".", 0)\n'
            "for file in files: os.posix_fallocate(file, 0, 200 << 20)"
        )
        assert await python(sandbox, code) == (137, "", True)
        assert (await sandbox.exec("stat -c %a d")).stdout == ("0\n" if os.geteuid() == 0 else "300\n")

    async def test_a_folder_too_deep_for_a_path_is_measured(self, sandbox: AsyncSandbox) -> None:
        deep = 'import os\nfor _ in range(40): os.mkdir("d" * 200); os.chdir("d" * 200)\n'
        files = 'for n in "12": os.posix_fallocate(os.open(n, os.O_CREAT | os.O_RDWR), 0, 200 << 20)\n'
        assert await python(sandbox, deep + 'open("x", "w"); print("small")') == (0, "small\n", False)
        assert await python(sandbox, deep.replace('"d"', '"e"') + files) == (137, "", True)

    async def test_folders_that_are_never_all_open_are_too_many(self, sandbox: AsyncSandbox) -> None:
        deep = 'import os\nfor _ in range(3000): os.mkdir("d"); os.chdir("d")\n'
        assert await python(sandbox, deep) == (137, "", True)

    async def test_a_command_after_a_killed_one_has_no_more_room(self, sandbox: AsyncSandbox) -> None:
        assert "too much files" in (await sandbox.exec(TWO_FILES)).stderr
        result = await sandbox.exec("fallocate -x -l 200M 3")
        assert (result.return_code, "too much files" in result.stderr) == (137, True)
        assert (await sandbox.exec("ls; rm ?; echo fits")).stdout.endswith("fits\n")
        assert "too much files" in (await sandbox.exec(TWO_FILES)).stderr

    async def test_too_many_files_can_be_deleted(self, sandbox: AsyncSandbox) -> None:
        many = 'import os; open("x", "w"); [os.link("x", str(n)) for n in range(25_000)]'
        assert await python(sandbox, many) == (137, "", True)
        for number in ("50", "500", "30000"):
            result = await sandbox.exec(f"ls | head -n {number} | xargs rm; echo fewer")
            assert (result.stdout, result.stderr) == ("fewer\n", "")

    async def test_a_file_with_several_names_counts_once(self, sandbox: AsyncSandbox) -> None:
        result = await sandbox.exec("fallocate -x -l 200M 1 && for n in 2 3 4; do ln 1 $n; done; echo one")
        assert (result.stdout, result.stderr) == ("one\n", "")

    async def test_without_a_limit_of_memory_they_are_limited(self, folder: str) -> None:
        provider = LocalProvider(
            create={"isolation": "landlock", "folder": folder}, limits={"memory_mib": None}
        )
        async with await AsyncSandbox(provider).start() as sandbox:
            result = await sandbox.exec(f"{TWO_FILES}; sleep 60", timeout_s=20)
            assert (result.return_code, "too much files" in result.stderr) == (137, True)

    async def test_their_sum_may_be_more_than_the_size_of_one(self, folder: str) -> None:
        provider = LocalProvider(create={"isolation": "landlock", "folder": folder}, limits={"file_mib": 100})
        for spec, most in (
            (SandboxSpec(), 256),
            (SandboxSpec(resources={"disk_gib": 1}), 1024),
        ):
            async with await AsyncSandbox(provider, spec).start() as sandbox:
                files = (most - 50) // 90
                fill = f"for n in $(seq {files}); do fallocate -x -l 90M $n; done"
                assert (await sandbox.exec(f"{fill}; echo fits")).stdout == "fits\n"
                assert (await sandbox.exec("fallocate -x -l 110M more")).return_code != 0
                result = await sandbox.exec("fallocate -x -l 90M a; fallocate -x -l 90M b")
                assert "too much files" in result.stderr


class TestFilesInMemory:
    async def test_a_program_that_ends_at_once_does_not_escape(self) -> None:
        pool = SandboxPool()
        many = "import os\nopen('x', 'w')\nfor n in range(20_050): os.link('x', str(n))\nos._exit(0)"
        large = (
            "import os\nfor n in range(3):\n"
            "    os.posix_fallocate(os.open(f'/dev/shm/{n}', os.O_CREAT | os.O_RDWR), 0, 20 << 20)\n"
            "os._exit(0)"
        )
        for _ in range(5):
            assert (await pool.run_python(Program(many))).reason == "limit"
            assert (await pool.run_python(Program(large, memory_mib=50))).reason == "oom"
        await pool.aclose()

    async def test_what_a_killed_command_left_can_be_deleted(self) -> None:
        many = (
            'import os; os.chdir("/dev/shm"); open("x", "w"); [os.link("x", str(n)) for n in range(25_000)]'
        )
        async with await AsyncSandbox("local").start() as sandbox:
            assert await python(sandbox, many) == (137, "", True)
            result = await sandbox.exec("sleep 0.2; find /dev/shm -type f -delete; echo deleted")
            assert (result.stdout, result.stderr) == ("deleted\n", "")


class TestMemory:
    async def test_shared_memory_counts_though_no_process_shows_it(self) -> None:
        code = (
            "import ctypes, mmap, os, time\nctypes.CDLL(None).prctl(4, {dumpable}, 0, 0, 0)\nkept = []\n"
            "for _ in range(16):\n"
            "    kept.append(m := mmap.mmap(-1, 32 << 20))\n"
            "    if os.fork() == 0:\n"
            "        for n in range(0, len(m), 4096): m[n] = 1\n"
            "        os._exit(0)\n"
            "    os.wait()\n"
            "print('done')"
        )
        pool = SandboxPool()
        for dumpable in (0, 1):
            result = await pool.run_python(Program(code.format(dumpable=dumpable), memory_mib=256))
            assert (result.reason, result.exit_code) == ("oom", None)
        few = await pool.run_python(Program(code.format(dumpable=1).replace("16", "4"), memory_mib=256))
        assert (few.stdout, few.reason) == ("done\n", "ok")
        await pool.aclose()


async def test_the_reason_of_a_kill_is_that_of_the_command_it_killed() -> None:
    hog = "import mmap, time; m = mmap.mmap(-1, 300 << 20); [m.write(bytes(1 << 20)) for _ in range(300)]"
    spec = SandboxSpec(resources={"memory_mib": 200})
    async with await AsyncSandbox("local", spec).start() as sandbox:

        async def others() -> None:
            while not end.done():
                await sandbox.exec("true")

        for _ in range(5):
            end = asyncio.ensure_future(sandbox.exec(f"exec python3 -c '{hog}; time.sleep(60)'"))
            await asyncio.gather(*(others() for _ in range(3)))
            result = await end
            assert (result.return_code, "too much memory" in result.stderr) == (137, True)
