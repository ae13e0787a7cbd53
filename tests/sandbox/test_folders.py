"""Folders brought out of a sandbox that whoever was inside has had its way with."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxHandle, SandboxSpec
from nemo_gym.sandbox.errors import ArchiveRefused, InvalidSandbox, SandboxFileError
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.sandbox.spec import SandboxExecResult

SWAPPER = """
import os, tarfile, time, sys, io
evil = io.BytesIO()
with tarfile.open(fileobj=evil, mode="w") as archive:
    member = tarfile.TarInfo("workspace/p")
    member.type, member.linkname = tarfile.SYMTYPE, sys.argv[1]
    archive.addfile(member)
    archive.addfile(tarfile.TarInfo("workspace/p/x"))
if os.fork() == 0:
    os.setsid()
    os.environ.clear()
    open("alive", "w").write("yes")
    while True:
        for name in os.listdir("/tmp"):
            if name.endswith(".tar"):
                open("/tmp/swap", "wb").write(evil.getvalue())
                os.rename("/tmp/swap", "/tmp/" + name)
        open("made", "w").write(str(time.time()))
"""


class Plugin:
    """A provider of somebody else's, which does nothing but the necessary."""

    name = "plugin"

    def __init__(self) -> None:
        self.inner = LocalProvider(create={"isolation": "required"})
        self.uploads: list[str] = []
        self.fails: str | None = None
        for name in ("download_file", "status", "close", "aclose"):
            setattr(self, name, getattr(self.inner, name))

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        return await self.inner.create(SandboxSpec(env=spec.env))

    async def exec(self, handle: SandboxHandle, command: str, **options: Any) -> SandboxExecResult:
        return await self.inner.exec(handle, command, **options)

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        if target_path == self.fails:
            raise SandboxFileError("disk full")
        self.uploads.append(target_path)
        await self.inner.upload_file(handle, source_path, target_path)


PROVIDERS = {"local": lambda: LocalProvider(create={"isolation": "required"}), "plugin": Plugin}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> Any:
    return PROVIDERS[request.param]()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


async def test_a_folder_comes_out_with_what_its_owner_could_not_read(provider: Any, target: Path) -> None:
    async with AsyncSandbox(provider) as sandbox:
        await sandbox.start()
        await sandbox.exec(
            "mkdir -p a/b locked; echo text > a/b/c; echo hush > locked/x; ln -s a/b/c link; ln -s /etc out;"
            "mkfifo pipe; touch -- -rf; chmod 000 a/b/c locked/x locked; touch $(printf '\\377')"
        )
        await sandbox.download_folder("/workspace", target, most_bytes=1000)
    names = sorted(str(path.relative_to(target)) for path in target.rglob("*"))
    assert names == ["-rf", "a", "a/b", "a/b/c", "link", "locked", "locked/x", "\udcff"]
    assert (target / "link").read_text() == "text\n"
    assert (target / "locked" / "x").read_text() == "hush\n"


async def test_an_archive_that_is_swapped_makes_nothing_outside(
    provider: Any, target: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with AsyncSandbox(provider, SandboxSpec(files={"swap.py": SWAPPER})) as sandbox:
        await sandbox.start()
        await sandbox.exec(f"python3 -I -S swap.py {outside}; until [ -s made ]; do sleep 0.01; done")
        try:
            await sandbox.download_folder("/workspace", target, most_bytes=1 << 20)
        except ArchiveRefused:
            assert isinstance(provider, Plugin)  # which can't kill what is left inside
        if not isinstance(provider, Plugin):
            assert (target / "alive").read_text() == "yes"
            assert (await sandbox.exec("pgrep -f swap.py")).stdout == ""
    assert os.listdir(outside) == []


async def test_everything_inside_is_dead_before_packing(target: Path) -> None:
    async with AsyncSandbox(LocalProvider(create={"isolation": "required"})) as sandbox:
        await sandbox.start()
        bomb = "import os\nfor _ in range(5):\n    os.fork()\nos.setsid()\nwhile True:\n    pass"
        running = asyncio.create_task(sandbox.exec(f'setsid sleep 600 & python3 -I -S -c "{bomb}"'))
        while int((await sandbox.exec("ls -d /proc/[0-9]* | wc -l")).stdout) < 20:
            await asyncio.sleep(0.01)
        await sandbox.download_folder("/workspace", target, most_bytes=1000)
        assert (await running).return_code == 137
        assert int((await sandbox.exec("ls -d /proc/[0-9]* | wc -l")).stdout) < 6


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("head -c 5000 /dev/zero > large", "more than it may"),
        ("truncate -s 900M sparse", "more than it may"),
        ("for n in $(seq 300); do mkdir d; cd d; done", "folders deep"),
    ],
    ids=["large", "sparse", "deep"],
)
async def test_what_is_too_much_is_refused(provider: Any, command: str, message: str, target: Path) -> None:
    async with AsyncSandbox(provider) as sandbox:
        await sandbox.start()
        await sandbox.exec(command)
        with pytest.raises(ArchiveRefused, match=message):
            await sandbox.download_folder("/workspace", target, most_bytes=4096)


async def test_what_can_t_be_packed_says_why(provider: Any, target: Path) -> None:
    async with AsyncSandbox(provider) as sandbox:
        await sandbox.start()
        with pytest.raises(SandboxFileError, match=r"/nowhere/x can't be packed: .*nowhere"):
            await sandbox.download_folder("/nowhere/x", target, most_bytes=100)
        for path in ("/", "/tmp/.."):
            with pytest.raises(InvalidSandbox, match="not a folder"):
                await sandbox.download_folder(path, target, most_bytes=100)


async def test_the_files_of_a_spec_go_in_by_any_provider() -> None:
    provider = Plugin()
    spec = SandboxSpec(files={"a/b.txt": "héllo", "c": ""})
    async with AsyncSandbox(provider, spec) as sandbox:
        await sandbox.start()
        assert (await sandbox.exec("cat a/b.txt; ls c")).stdout == "hélloc\n"
    assert provider.uploads == ["a/b.txt", "c"]


async def test_a_file_that_can_t_go_in_leaves_no_sandbox() -> None:
    provider = Plugin()
    provider.fails = "b"
    sandbox = AsyncSandbox(provider, SandboxSpec(files={"a": "", "b": ""}))
    with pytest.raises(OSError, match="disk full"):
        await sandbox.start()
    assert provider.inner._live == {}
    with pytest.raises(RuntimeError, match="not running"):
        await sandbox.exec("true")


async def test_entering_starts_nothing() -> None:
    provider = Plugin()
    async with AsyncSandbox(provider) as sandbox:
        assert provider.inner._live == {}
        with pytest.raises(RuntimeError, match="call start"):
            await sandbox.exec("true")
        await sandbox.start(SandboxSpec(env={"A": "1"}))
        assert (await sandbox.exec("echo $A")).stdout == "1\n"
