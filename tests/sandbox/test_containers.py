"""Docker and Apptainer, by a program that stands in for theirs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.sandbox import AsyncSandbox, SandboxSpec, SandboxStatus
from nemo_gym.sandbox.errors import (
    ArchiveRefused,
    InvalidSandbox,
    SandboxCreateError,
    SandboxCreateVerificationError,
    SandboxFileError,
    SandboxUnsupported,
)
from tests.support.virtual_time import run_out_of_time

SPEC = SandboxSpec(image="python:3.12")
EAGER = {"probe": {"stable_delay_s": 0, "deadline_s": 0.01}}


class FakeCli:
    """A container program that is none, and what it was asked."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def answer(self, verb: str, code: int, *, stdout: str = "", stderr: str = "") -> None:
        """Let a verb end like this from now on."""
        (self.state / f"{verb}.json").write_text(
            json.dumps({"code": code, "stdout": stdout, "stderr": stderr})
        )

    def calls(self, verb: str) -> list[dict[str, Any]]:
        """How a verb was called."""
        lines = (self.state / "calls.jsonl").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call["words"][0] == verb]


@pytest.fixture
def fake_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCli:
    """`docker` and `apptainer` on PATH."""
    state, programs = tmp_path / "state", tmp_path / "bin"
    state.mkdir()
    programs.mkdir()
    for name in ("docker", "apptainer"):
        program = programs / name
        program.write_text(
            f"#!{sys.executable}\n{(Path(__file__).parent / 'container_program.py').read_text()}"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CLI_STATE", str(state))
    return FakeCli(state)


def running(fake_cli, spec: SandboxSpec = SPEC, provider: str = "docker", **settings) -> AsyncSandbox:
    return AsyncSandbox({provider: settings}, spec)


class TestDocker:
    async def test_a_container_is_started_with_what_the_spec_and_the_settings_say(self, fake_cli):
        spec = SandboxSpec(
            image="python:3.12", workdir="/work", env={"SECRET": "hush", "PATH": "/bin"}, ports=[80],
            metadata={"team": "blue"}, resources={"cpu": 1.5, "memory_mib": 512, "gpu": 1},
        )  # fmt: skip
        create = {"network": "none", "read_only": True, "cap_drop": ["ALL"], "pids_limit": 64}
        async with await running(
            fake_cli, spec, create={**create, "security_opt": ["no-new-privileges"]}
        ).start():
            pass

        [call] = fake_cli.calls("run")
        name = call["words"][3]
        assert call["words"] == [
            "run", "--detach", "--name", name, "--env", "SECRET", "--env", "PATH=/bin", "--label",
            "team=blue", "--publish", "127.0.0.1::80", "--init", "--workdir", "/work", "--network", "none",
            "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "64",
            "--cpus", "1.5", "--memory", "512m", "--gpus", "1", "--entrypoint", "sh", "python:3.12", "-c",
            "while :; do sleep 3600; done",
        ]  # fmt: skip
        assert call["env"] == {"SECRET": "hush"}
        assert [call["words"] for call in fake_cli.calls("rm")] == [["rm", "--force", "--volumes", name]]

    async def test_arguments_of_ones_own_come_before_the_image_and_the_container(self, fake_cli):
        settings = {
            "create": {"extra_run_args": ["-v", "/data:/data:ro"]},
            "exec": {"extra_exec_args": ["--privileged"], "exec_shell": None},
        }
        async with await running(fake_cli, **settings).start() as sandbox:
            result = await sandbox.exec("echo done")

        assert result.stdout == "done\n"
        [run] = fake_cli.calls("run")
        assert run["words"][-7:-3] == ["-v", "/data:/data:ro", "--entrypoint", "sh"]
        command = fake_cli.calls("exec")[-1]["words"]
        assert command[command.index("--privileged") + 1 :] == [run["words"][3], "bash", "-c", "echo done"]

    async def test_a_time_to_live_and_an_entrypoint_are_the_container_s(self, fake_cli):
        async with await running(fake_cli, SandboxSpec(image="i", ttl_s=60)).start():
            pass
        async with await running(fake_cli, SandboxSpec(image="i", entrypoint=["serve", "--fast"])).start():
            pass

        first, second = (call["words"] for call in fake_cli.calls("run"))
        assert first[-5:] == ["--entrypoint", "sh", "i", "-c", "sleep 60"]
        assert second[-4:] == ["--entrypoint", "serve", "i", "--fast"]

    async def test_commands_and_files_go_through_exec(self, fake_cli, tmp_path):
        (tmp_path / "in.bin").write_bytes(b"\x00\xff")
        async with await running(
            fake_cli, SandboxSpec(image="i", files={"a/b.txt": "text"})
        ).start() as sandbox:
            result = await sandbox.exec(
                "cat a/b.txt; echo $SECRET >&2; exit 3", env={"SECRET": "hush"}, user="root"
            )
            await sandbox.upload(tmp_path / "in.bin", "c/in.bin")
            await sandbox.download("c/in.bin", tmp_path / "out" / "out.bin")
            with pytest.raises(SandboxFileError, match="No such file"):
                await sandbox.download("none", tmp_path / "none")

        assert (result.stdout, result.stderr, result.return_code) == ("text", "hush\n", 3)
        assert (tmp_path / "out" / "out.bin").read_bytes() == b"\x00\xff"
        assert not (tmp_path / "none").exists()
        [call] = [call for call in fake_cli.calls("exec") if "--user" in call["words"]]
        assert "hush" not in call["words"]
        assert call["words"][-3] == "bash"

    async def test_a_folder_comes_out_when_the_container_is_dead(self, fake_cli, tmp_path):
        inside, target = tmp_path / "inside", tmp_path / "target"
        inside.mkdir()
        target.mkdir()
        (inside / "a").write_text("text")
        (inside / "out").symlink_to("/etc")
        async with await running(fake_cli).start() as sandbox:
            await sandbox.download_folder(str(inside), target, most_bytes=100)
            (target / "more").mkdir()
            with pytest.raises(ArchiveRefused, match="more than it may"):
                await sandbox.download_folder(str(inside), target / "more", most_bytes=1)
            fake_cli.answer("kill", 1, stderr="no answer")
            fake_cli.answer("inspect", 0, stdout="running")
            with pytest.raises(SandboxFileError, match="can't be killed: no answer"):
                await sandbox.download_folder(str(inside), target, most_bytes=100)
            fake_cli.answer("inspect", 0, stdout="exited")
            fake_cli.answer("cp", 1, stderr="no such folder")
            with pytest.raises(SandboxFileError, match="can't be packed: no such folder"):
                await sandbox.download_folder(str(inside), target, most_bytes=100)

        assert [path.name for path in target.iterdir() if path.is_file()] == ["a"]
        verbs = [
            json.loads(line)["words"][0] for line in (fake_cli.state / "calls.jsonl").read_text().splitlines()
        ]
        assert verbs.index("kill") < verbs.index("cp")

    @pytest.mark.parametrize("path", ["a\0b", "a\ud800b"], ids=["NUL", "surrogate"])
    async def test_a_name_that_no_file_can_have_is_an_error_for_that_call_alone(
        self, fake_cli, tmp_path, path
    ):
        (tmp_path / "in").write_text("text")
        async with await running(fake_cli).start() as sandbox:
            with pytest.raises(SandboxFileError):
                await sandbox.upload(tmp_path / "in", path)
            with pytest.raises(SandboxFileError):
                await sandbox.download(path, tmp_path / "out")
            assert (await sandbox.exec(f"echo {path}")).error_type == "start"
            await sandbox.upload(tmp_path / "in", "folder\n/-in")
            await sandbox.download("folder\n/-in", tmp_path / "out")
        assert (tmp_path / "out").read_text() == "text"

    async def test_a_command_that_takes_too_long_is_killed_inside(self, fake_cli, tmp_path):
        async with await running(fake_cli).start() as sandbox:
            pid = tmp_path / "pid"
            command = sandbox.exec(f"echo $$ > {pid}; sleep 600", timeout_s=60)
            with pytest.raises(TimeoutError, match="more than 60 seconds"):
                await run_out_of_time(command, once=lambda: pid.exists() and pid.read_text())

        await wait_gone(int(pid.read_text()))

    async def test_a_failure_of_docker_is_no_exit_code_of_the_command(self, fake_cli):
        async with await running(fake_cli).start() as sandbox:
            fake_cli.answer("exec", 1, stderr="Error response from daemon: container is not running")
            result = await sandbox.exec("true")

        assert (result.return_code, result.error_type) == (125, "docker")

    @pytest.mark.parametrize(
        ("told", "status"),
        [
            ("running", "running"), ("created", "starting"), ("exited", "stopped"), ("dead", "error"),
            ("odd", "unknown"),
        ],
    )  # fmt: skip
    async def test_its_status_is_docker_s(self, fake_cli, told, status):
        async with await running(fake_cli).start() as sandbox:
            fake_cli.answer("inspect", 0, stdout=f"{told}\n")
            assert await sandbox.status() is SandboxStatus(status)
            fake_cli.answer("inspect", 1, stderr="Error: No such object")
            assert await sandbox.status() is SandboxStatus.STOPPED

    async def test_an_endpoint_is_where_docker_published_the_port(self, fake_cli):
        async with await running(fake_cli, SandboxSpec(image="i", ports=[80])).start() as sandbox:
            fake_cli.answer("port", 0, stdout="127.0.0.1:49153\n")
            assert (await sandbox.endpoint(80)).endpoint == "http://127.0.0.1:49153"
            fake_cli.answer("port", 1, stderr="no public port")
            with pytest.raises(InvalidSandbox, match="no public port"):
                await sandbox.endpoint(80)

    @pytest.mark.parametrize(
        ("image", "message"), [(None, "needs SandboxSpec.image"), ("nope", "docker run nope: no such image")]
    )
    async def test_what_cannot_be_started_leaves_nothing(self, fake_cli, image, message):
        fake_cli.answer("run", 125, stderr="no such image")
        with pytest.raises(SandboxCreateError, match=message):
            await running(fake_cli, SandboxSpec(image=image)).start()
        if image:
            assert len(fake_cli.calls("rm")) == 1

    async def test_what_does_not_pass_its_probe_is_removed(self, fake_cli):
        fake_cli.answer("exec", 1, stderr="starting up")
        with pytest.raises(SandboxCreateVerificationError, match="starting up"):
            await running(fake_cli, **EAGER).start()
        assert len(fake_cli.calls("rm")) == 1

    async def test_another_process_can_take_it_over(self, fake_cli):
        async with await running(fake_cli).start() as sandbox:
            descriptor = sandbox.serialize(scope="verify")
            fake_cli.answer("inspect", 0, stdout="running\n")
            taken = await AsyncSandbox.connect(descriptor)
            assert (await taken.exec("echo hello")).stdout == "hello\n"
            fake_cli.answer("inspect", 0, stdout="exited\n")
            with pytest.raises(SandboxCreateError, match="is not running"):
                await AsyncSandbox.connect(descriptor)

        assert descriptor["scope"] == "verify"

    async def test_no_docker_is_one_clear_line(self, monkeypatch):
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(SandboxCreateError, match="no program 'docker' on PATH"):
            await AsyncSandbox("docker", SPEC).start()


class TestApptainer:
    async def test_an_instance_is_started_and_stopped(self, fake_cli):
        spec = SandboxSpec(
            image="python:3.12", env={"SECRET": "hush"}, resources={"cpu": 2, "memory_mib": 512}
        )
        async with await running(
            fake_cli, spec, "apptainer", exec={"default_binds": ["/data:/data:ro"]}
        ).start() as sandbox:
            fake_cli.answer("instance", 0, stdout='{"instances": [{"instance": "x"}]}')
            assert await sandbox.status() is SandboxStatus.RUNNING
            await sandbox.exec("true", user="root")

        start, listed, stop = (call["words"] for call in fake_cli.calls("instance"))
        folder = start[5].removesuffix(":/sandbox")
        assert start == [
            "instance", "start", "--containall", "--writable-tmpfs", "--bind", f"{folder}:/sandbox", "--bind",
            "/data:/data:ro", "--cpus", "2", "--memory", "512m", "docker://python:3.12", start[-1],
        ]  # fmt: skip
        assert listed[:3] == ["instance", "list", "--json"]
        assert stop == ["instance", "stop", "--force", start[-1]]
        assert not Path(folder).exists()
        last = fake_cli.calls("exec")[-1]
        assert last["words"][:4] == ["exec", "--pwd", "/sandbox", "--fakeroot"]
        assert last["env"] == {"APPTAINERENV_SECRET": "hush"}

    async def test_what_cannot_be_started_leaves_nothing(self, fake_cli):
        fake_cli.answer("instance", 255, stderr="FATAL: no image")
        with pytest.raises(SandboxCreateError, match="FATAL: no image"):
            await running(fake_cli, SPEC, "apptainer").start()

        assert not Path(fake_cli.calls("instance")[0]["words"][5].split(":")[0]).exists()

    async def test_a_folder_comes_out_when_all_else_is_dead(self, fake_cli, tmp_path):
        inside, target = tmp_path / "inside", tmp_path / "target"
        inside.mkdir()
        target.mkdir()
        (inside / "a").write_text("text")
        async with await running(fake_cli, SPEC, "apptainer").start() as sandbox:
            await sandbox.download_folder(str(inside), target, most_bytes=100)
            with pytest.raises(SandboxFileError, match=r"can't be packed: .*nowhere"):
                await sandbox.download_folder("/nowhere/x", target, most_bytes=100)

        assert (target / "a").read_text() == "text"
        script = fake_cli.calls("exec")[-1]["words"]
        assert any("kill -9 -1" in word for word in script)
        assert os.readlink("/proc/self/ns/pid") in script  # where nothing may be killed

    async def test_no_apptainer_is_one_clear_line(self, monkeypatch):
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(SandboxCreateError, match="no program 'apptainer' on PATH"):
            await running(None, SPEC, "apptainer").start()

    async def test_it_has_no_ports_sessions_or_hand_over(self, fake_cli):
        with pytest.raises(SandboxCreateError, match="ports"):
            await running(fake_cli, SandboxSpec(image="i", ports=[80]), "apptainer").start()
        async with await running(fake_cli, SPEC, "apptainer").start() as sandbox:
            with pytest.raises(SandboxUnsupported, match="hand a sandbox over"):
                sandbox.serialize()
            with pytest.raises(SandboxUnsupported, match="no interactive sessions"):
                await sandbox.pty.create()


async def wait_gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}").exists():
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.01)


class TestReach:
    """How code inside gets at a server of this machine."""

    async def test_by_the_gateway_of_a_docker_network(self, fake_cli):
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        fake_cli.answer("network", 0, stdout="127.0.0.2 \n")
        async with await running(fake_cli, create={"network": "inner"}).start() as sandbox:
            url = await sandbox.reach(f"http://127.0.0.1:{port}/x/y")
            assert url.startswith("http://127.0.0.2:")
            assert url.endswith("/x/y")
            reader, writer = await asyncio.open_connection("127.0.0.2", int(url.split(":")[2].split("/")[0]))
            writer.write(b"hello\n")
            assert await reader.read() == b"hello\n"
            writer.close()
        [call] = fake_cli.calls("network")
        assert call["words"][:2] == ["network", "inspect"]
        assert call["words"][-1] == "inner"
        server.close()
        await server.wait_closed()

    async def test_in_this_machine_s_network_it_is_where_it_is(self, fake_cli):
        for provider in ("docker", "apptainer"):
            async with await running(
                fake_cli, provider=provider, create={"network": "host"}
            ).start() as sandbox:
                assert await sandbox.reach("https://127.0.0.1:9/x") == "https://127.0.0.1:9/x"

    @pytest.mark.parametrize("provider", ["docker", "apptainer"])
    async def test_not_without_a_network(self, fake_cli, provider):
        fake_cli.answer("network", 0, stdout="\n")
        async with await running(fake_cli, provider=provider, create={"network": "none"}).start() as sandbox:
            with pytest.raises(SandboxUnsupported, match="network 'none': set network to"):
                await sandbox.reach("http://127.0.0.1:9")

    async def test_a_gateway_that_is_another_machine_s_is_refused(self, fake_cli):
        fake_cli.answer("network", 0, stdout="192.0.2.1\n")
        async with await running(fake_cli).start() as sandbox:
            with pytest.raises(SandboxUnsupported, match=r"192\.0\.2\.1, the gateway of 'bridge'"):
                await sandbox.reach("http://127.0.0.1:9")

    async def test_a_variable_of_this_process_is_no_reason_to_show_its_value(self, fake_cli, monkeypatch):
        monkeypatch.setenv("OPENAI_SECRET", "outer")
        async with await running(fake_cli).start() as sandbox:
            await sandbox.exec("true", env={"OPENAI_SECRET": "inner"})
        call = fake_cli.calls("exec")[-1]
        assert "inner" not in str(call["words"])
        assert call["env"]["OPENAI_SECRET"] == "inner"
