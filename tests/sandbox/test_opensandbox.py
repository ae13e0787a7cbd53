"""The opensandbox provider, with a stand-in for its SDK that runs what it is given here."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxCreateError, SandboxFileError

CONFIG = {"connection": {"domain": "sandboxes:8080", "api_key": "hush"}, "probe": {"stable_delay_s": 0}}


class Server:
    """What the SDK's classes would talk to."""

    id = "box-1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arguments: dict[str, Any] = {}
        self.failures = 0
        self.slow = 0.0
        """Seconds until a sandbox is there."""
        self.ended: list[str] = []
        self.commands = SimpleNamespace(run=self.run)
        self.files = SimpleNamespace(write_file=self.write, read_bytes=self.read)

    async def create(self, image: str, **arguments: Any) -> Server:
        self.arguments = {"image": image, **arguments}
        self.fail()
        await asyncio.sleep(self.slow)
        return self

    async def connect(self, sandbox_id: str, **arguments: Any) -> Server:
        self.arguments = {"sandbox_id": sandbox_id, **arguments}
        self.fail()
        await asyncio.sleep(self.slow)
        return self

    def fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the server is busy")

    async def run(self, command: str, *, opts: SimpleNamespace) -> SimpleNamespace:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", command, cwd=self.folder, env=opts.envs, stdout=-1, stderr=-1
        )
        parts = [[SimpleNamespace(text=data.decode())] for data in await process.communicate()]
        logs = SimpleNamespace(stdout=parts[0], stderr=parts[1])
        return SimpleNamespace(exit_code=process.returncode, logs=logs, error=None)

    async def write(self, path: str, data: bytes, *, mode: int) -> None:
        self.fail()
        (self.folder / path.lstrip("/")).write_bytes(data)

    async def read(self, path: str) -> bytes:
        self.fail()
        return (self.folder / path.lstrip("/")).read_bytes()

    async def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(status=SimpleNamespace(state="Running"))

    async def get_endpoint(self, port: int) -> SimpleNamespace:
        return SimpleNamespace(endpoint=f"sandboxes:8080/box-1/{port}", headers={"x-route": "1"})

    async def kill(self) -> None:
        self.ended.append("kill")

    async def close(self) -> None:
        self.ended.append("close")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    folder = tmp_path / "box"
    folder.mkdir()
    server = Server(folder)
    names = {
        "opensandbox": {"Sandbox": server},
        "opensandbox.config": {"ConnectionConfig": SimpleNamespace},
        "opensandbox.models": {},
        "opensandbox.models.execd": {"RunCommandOpts": SimpleNamespace},
    }
    for name, values in names.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    return server


async def test_a_sandbox_is_made_used_and_ended(server: Server, tmp_path: Path) -> None:
    spec = SandboxSpec(
        image="python:3.12", files={"/a.txt": "text"}, resources={"cpu": 2, "memory_mib": 512}, ports=[80]
    )
    attribution = {"key_prefix": "gym/", "team": "blue"}
    async with AsyncSandbox({"opensandbox": {**CONFIG, "attribution": attribution}}, spec) as sandbox:
        await sandbox.start()
        result = await sandbox.exec("cat a.txt; echo $A >&2; exit 3", env={"A": "1"})
        await sandbox.download("/a.txt", tmp_path / "out")
        assert await sandbox.status() is SandboxStatus.RUNNING
        endpoint = await sandbox.endpoint(80)
    assert (result.stdout, result.stderr, result.return_code) == ("text", "1\n", 3)
    assert (tmp_path / "out").read_text() == "text"
    assert (endpoint.endpoint, endpoint.headers) == ("http://sandboxes:8080/box-1/80", {"x-route": "1"})
    assert server.ended == ["kill", "close"]
    assert server.arguments["image"] == "python:3.12"
    assert server.arguments["resource"] == {"cpu": "2", "memory": "512Mi"}
    assert server.arguments["metadata"] == {"gym/team": "blue"}
    assert server.arguments["connection_config"].api_key == "hush"


async def test_what_fails_is_tried_again_as_often_as_the_settings_say(server: Server, tmp_path: Path) -> None:
    again = {"retries": 2, "retry_delay_s": 0}
    server.failures = 2
    spec = SandboxSpec(image="i")
    async with AsyncSandbox(
        {"opensandbox": {**CONFIG, "create": again, "operations": again}}, spec
    ) as sandbox:
        await sandbox.start()
        (tmp_path / "in").write_text("x")
        server.failures = 2
        await sandbox.upload(tmp_path / "in", "/in")
        server.failures = 3
        with pytest.raises(SandboxFileError, match="the server is busy"):
            await sandbox.upload(tmp_path / "in", "/in")
    server.failures = 1
    with pytest.raises(SandboxCreateError, match="can't create i: the server is busy"):
        await AsyncSandbox({"opensandbox": CONFIG}, spec).start()


async def test_the_time_to_make_it_is_not_the_time_that_it_lives(server: Server) -> None:
    """`create.timeout_s` of existing configurations limits the making."""
    create = {"timeout_s": 30, "lifetime_s": 60, "image_pull_policy": "Always"}
    spec = SandboxSpec(image="i")
    async with AsyncSandbox({"opensandbox": {**CONFIG, "create": create}}, spec) as sandbox:
        await sandbox.start()
    assert server.arguments["timeout"].total_seconds() == 60
    assert set(server.arguments["extensions"].values()) == {"Always"}
    server.slow = 60
    create["timeout_s"] = 0.05
    with pytest.raises(SandboxCreateError, match=r"can't create i: more than 0\.05 seconds"):
        await AsyncSandbox({"opensandbox": {**CONFIG, "create": create}}, spec).start()
    with pytest.raises(InvalidSandbox, match="expected Always, IfNotPresent or Never, not 'always'"):
        AsyncSandbox({"opensandbox": {"create": {"image_pull_policy": "always"}}})


async def test_a_sandbox_is_handed_to_another_process(server: Server) -> None:
    create = {"connect_attempt_timeout_s": 30, "connect_poll_s": 0.01}
    settings = {"opensandbox": {**CONFIG, "create": create}}
    made = AsyncSandbox(settings, SandboxSpec(image="i", workdir="/work"))
    await made.start()
    descriptor = json.loads(json.dumps(made.serialize(scope="run-1")))
    assert "hush" not in str(descriptor)
    other = await AsyncSandbox.connect(descriptor, settings)
    assert (await other.exec("echo here")).stdout == "here\n"
    assert server.arguments["sandbox_id"] == other.id == "box-1"
    assert server.arguments["connect_timeout"].total_seconds() == 30
    server.slow = 60
    create["connect_attempt_timeout_s"] = 0.05
    with pytest.raises(SandboxCreateError, match=r"connect to box-1: more than 0\.05 seconds"):
        await AsyncSandbox.connect(descriptor, settings)


async def test_what_goes_wrong_is_an_error_for_that_call_alone(server: Server, tmp_path: Path) -> None:
    async with AsyncSandbox({"opensandbox": CONFIG}, SandboxSpec(image="i")) as sandbox:
        await sandbox.start()
        with pytest.raises(SandboxFileError, match="can't be copied"):
            await sandbox.download("/none", tmp_path / "none")
        with pytest.raises(TimeoutError, match="more than"):
            await sandbox.exec("sleep 0.2; exit 1", timeout_s=0.1)
        failed = await sandbox.exec("echo a\0b")
        assert (failed.return_code, failed.error_type) == (125, "opensandbox")


async def test_without_the_sdk_or_an_image_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensandbox", None)
    with pytest.raises(SandboxCreateError, match="pip install opensandbox"):
        await AsyncSandbox({"opensandbox": CONFIG}, SandboxSpec(image="i")).start()
    with pytest.raises(SandboxCreateError, match=r"needs SandboxSpec\.image"):
        await AsyncSandbox({"opensandbox": CONFIG}).start()
