"""A program as the agent in a real sandbox: what it gets, what it can't, and what comes out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import Environment, Response, Rollout, Session, Task, ask, collect
from nemo_gym.agents import presets
from nemo_gym.agents.command import Command
from nemo_gym.agents.programs import needed_by
from nemo_gym.compat.rollout_observability import AgentObservationBundle
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.sandbox import register_provider
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item, assistant, function_call
from nemo_gym.wire.params import RequestParams
from tests.conftest import SUPPORT
from tests.support.virtual_time import run_out_of_time

CLIENT = """
import json, os, subprocess, sys, time, urllib.request
def ask(text="Well?", base=os.environ["BASE"], key=os.environ["KEY"]):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    headers = {"authorization": "Bearer " + key, "content-type": "application/json"}
    answer = urllib.request.urlopen(urllib.request.Request(base + "/chat/completions", body, headers))
    return json.load(answer)["choices"][0]["message"]["content"]
def say(name, text):
    open(name, "w").write(str(text))
"""


class Folder(Environment):
    """Gives a folder, and notes what it has become."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.place = folder
        self.found: dict[str, str] = {}

    def seed(self, task: Task, session: Session) -> None:
        (self.place / "src").mkdir()
        (self.place / "src" / "given.txt").write_text("given")
        (self.place / "old.txt").write_text("old")
        session.state["workdir"] = str(self.place)

    def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
        return [Task(responses_create_params={**ask("Do it; rm -rf $HOME")})]

    def verify(self, task: Task, response: Response, session: Session) -> float:
        files = [path for path in self.place.rglob("*") if path.is_file()]
        self.found = {str(path.relative_to(self.place)): path.read_text() for path in files}
        return 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    place = tmp_path / "repo"
    place.mkdir()
    return Folder(place)


def program(code: str, **options: Any) -> Command:
    env = {"BASE": "{openai_base_url}", "KEY": "{api_key}", **options.pop("env", {})}
    argv = ["python3", "-I", "-c", CLIENT + code]
    return Command(argv=argv, env=env, **{"sandbox": "local", **options})


async def play(
    agent: Command, environment: Environment, reply: Callable[..., Any] = lambda _: "yes"
) -> Rollout:
    try:
        async with LoopbackModel(ScriptedModel(reply)) as served:
            (rollout,) = [rollout async for rollout in collect(environment, served, agent=agent)]
    finally:
        await agent.aclose()
    return rollout


def observed(rollout: Rollout) -> dict[str, Any]:
    bundle = rollout.to_row()["ng_agent_observations"]
    AgentObservationBundle.model_validate(bundle)
    (record,) = bundle["records"]
    return record


async def test_the_folder_goes_in_and_what_became_of_it_comes_out(folder: Folder) -> None:
    code = (
        "say('src/said.txt', ask() + open('src/given.txt').read()); os.remove('old.txt')\n"
        "say('where.txt', os.getcwd() + ' ' + os.environ['HOME'])"
    )
    rollout = await play(program(code), folder)
    assert rollout.failure is None, rollout.failure
    assert folder.found == {
        "src/given.txt": "given",
        "src/said.txt": "yesgiven",
        "where.txt": "/workspace /tmp/home",
    }
    assert rollout.to_row()["ng_model_call_capture"]["metrics"]["num_calls"] == 1


async def test_what_was_used_is_observed(folder: Folder) -> None:
    record = observed(await play(program("ask(); x = bytearray(60 << 20); sum(range(10**6))"), folder))
    assert (record["role"], record["provider"], record["outcome"]) == ("agent", "local", "completed")
    assert record["exit_code"] == 0
    assert record["cpu_time_s"] > 0
    assert record["wall_time_s"] > 0
    assert record["peak_memory_mib"] > 60


async def test_texts_files_and_input_are_handed_in_unread_by_any_shell(folder: Folder) -> None:
    code = (
        "texts = [sys.argv[1], sys.stdin.read(), open(os.environ['P']).read(),"
        " open(os.environ['HOME'] + '/.tool/conf').read()]\n"
        "ask(); say('said.txt', '|'.join(texts))"
    )
    agent = Command(
        argv=["python3", "-I", "-c", CLIENT + code, "{prompt}"],
        env={"BASE": "{openai_base_url}", "KEY": "{api_key}", "P": "{prompt_file}"},
        files={".tool/conf": "{prompt}"},
        stdin="{prompt}",
        sandbox="local",
    )
    await play(agent, folder)
    assert folder.found["said.txt"] == "|".join(["Do it; rm -rf $HOME"] * 4)


async def test_nothing_but_the_model_can_be_reached(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERY_SECRET", "hunter2")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code = f"""
import socket
ask()
def tried(*address):
    try:
        socket.create_connection(address, 2)
    except OSError as error:
        return type(error).__name__
    return "connected"
say("seen.json", json.dumps({{
    "this machine": tried("127.0.0.1", {port}),
    "elsewhere": tried("192.0.2.1", 80),
    "names": [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line],
    "shadow": os.path.exists("/etc/shadow"),
    "repo": os.path.exists({str(folder.place)!r}),
    "package": os.path.exists({str(Path(__file__))!r}),
    "processes": len([name for name in os.listdir("/proc") if name.isdecimal()]),
    "environment": "hunter2" in str(os.environ),
    "user": os.getuid(),
}}))
"""
    rollout = await play(program(code), folder)
    server.close()
    await server.wait_closed()
    assert rollout.failure is None, rollout.failure
    seen = json.loads(folder.found["seen.json"])
    assert seen["this machine"] == "ConnectionRefusedError"
    assert seen["elsewhere"] == "OSError"
    assert seen["names"] == ["lo"]
    assert not any(seen[name] for name in ("shadow", "repo", "package", "environment"))
    assert seen["processes"] < 5
    assert seen["user"] == 1000


async def test_a_network_is_there_where_it_is_allowed(folder: Folder) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code = f"import socket; ask(); socket.create_connection(('127.0.0.1', {port}), 60); say('done', 1)"
    rollout = await play(program(code, sandbox={"network": "host"}), folder)
    server.close()
    await server.wait_closed()
    assert rollout.failure is None, rollout.failure
    assert folder.found["done"] == "1"


async def test_out_of_time_everything_is_killed_and_observed(folder: Folder) -> None:
    left, last = f"98711.{os.getpid()}", f"98712.{os.getpid()}"
    code = (
        f"subprocess.Popen(['sleep', '{left}'], start_new_session=True); ask(); "
        f"os.execlp('sleep', 'sleep', '{last}')"
    )
    rollout = await run_out_of_time(
        play(program(code, timeout=60), folder), once=lambda: f"sleep\0{last}\0".encode() in command_lines()
    )
    assert rollout.failure is not None
    assert rollout.failure.failure_class == "timeout_exceeded"
    assert rollout.response is not None
    assert rollout.response.final_text == "yes"
    assert observed(rollout)["outcome"] == "timeout"
    assert not any(number.encode() in line for line in command_lines() for number in (left, last))


async def test_a_failure_keeps_both_ends_of_what_was_printed_and_no_more(folder: Folder) -> None:
    code = "ask(); print('first words'); sys.stderr.write('x' * (30 << 20)); sys.exit('went wrong')"
    rollout = await play(program(code), folder)
    assert "exited with 1" in str(rollout.failure)
    assert "went wrong" in str(rollout.failure)
    assert "first words" in str(rollout.failure)
    assert len(str(rollout.failure)) < 3000
    assert observed(rollout)["outcome"] == "failed"
    assert observed(rollout)["exit_code"] == 1


async def test_a_fork_bomb_stays_within_its_sandbox_and_the_result_comes_out(folder: Folder) -> None:
    code = """
ask()
say("before.txt", "bomb")
made = 0
try:
    while made < 2000:
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
            os._exit(0)
        made += 1
except OSError:
    say("made.txt", made)
"""
    rollout = await play(program(code), folder)
    assert rollout.failure is None, rollout.failure
    assert int(folder.found["made.txt"]) < 256


async def test_links_that_lead_out_and_odd_files_don_t_come_out(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    code = f"""
ask()
os.symlink({str(tmp_path / "secret.txt")!r}, "out")
os.symlink("../secret.txt", "up")
os.symlink("src/given.txt", "in")
os.mkfifo("pipe")
"""
    rollout = await play(program(code), folder)
    assert rollout.failure is None, rollout.failure
    assert sorted(path.name for path in folder.place.iterdir()) == ["in", "old.txt", "src"]
    assert folder.found["in"] == "given"


REFUSED = {
    "too large": "open('large', 'wb').truncate(4 << 20)",
    "too deep": "for _ in range(1100):\n    os.mkdir('d')\n    os.chdir('d')",
    "deep and locked": "os.makedirs('/'.join('d' * 200))\nos.chmod('d/d', 0)",
}


@pytest.mark.parametrize("left", REFUSED)
async def test_a_result_that_can_t_be_taken_out_is_scored_as_none(
    left: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nemo_gym.agents.sandboxed.MOST_MIB", 2)
    rollout = await play(program(f"ask(); say('src/given.txt', 'changed')\n{REFUSED[left]}"), folder)
    assert rollout.failure is None
    assert (observed(rollout)["outcome"], observed(rollout)["error_type"]) == ("failed", "result_refused")
    assert folder.found == {"src/given.txt": "given", "old.txt": "old"}


SABOTAGE = {
    "signals": "import signal\nfor number in signal.valid_signals():\n    os.kill(1, number)",
    "limits": (
        "import resource\nfor kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_AS):\n"
        "    resource.prlimit(1, kind, (0, 0))"
    ),
    "unreadable": "os.mkdir('x'); say('x/y', 1); os.chmod('x', 0); os.chmod('src/given.txt', 0)",
    "odd names": "[open(name, 'w') for name in (b'\\xff', b'-rf', b'a\\nb', b'x' * 255)]",
    "processes": "if os.fork() == 0:\n    os.setsid()\n    [os.fork() for _ in 'abcd']\n    time.sleep(600)",
    "a link in the place of a folder": "os.rename('src', 'other'); os.symlink('/tmp', 'src')",
}


@pytest.mark.parametrize("sabotage", SABOTAGE)
async def test_sabotage_is_no_failure(sabotage: str, folder: Folder) -> None:
    rollout = await play(program(f"ask(); say('before.txt', 1)\n{SABOTAGE[sabotage]}"), folder)
    assert rollout.failure is None, rollout.failure
    assert observed(rollout)["outcome"] == "completed"
    assert folder.found["before.txt"] == "1"


async def test_a_process_left_inside_writes_nothing_on_this_machine(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    swap = f"""
import tarfile
ask()
say("before.txt", 1)
if os.fork() == 0:
    os.setsid()
    while True:
        for place in ("/tmp/gym.tar", "/tmp/gym-folder.tar", "/tmp/evil.tar"):
            with tarfile.open("/tmp/evil", "w") as evil:
                for name, target in (("p", {str(outside)!r}), ("p/x", "anything")):
                    member = tarfile.TarInfo(name)
                    member.type, member.linkname = tarfile.SYMTYPE, target
                    evil.addfile(member)
            os.rename("/tmp/evil", place)
while not os.path.exists("/tmp/evil.tar"):
    time.sleep(0.01)
"""
    rollout = await play(program(swap), folder)
    assert rollout.failure is None, rollout.failure
    assert folder.found["before.txt"] == "1"
    assert list(outside.iterdir()) == []


async def test_limits_hold(folder: Folder) -> None:
    code = "ask()\ntry:\n    bytearray(1 << 30)\nexcept MemoryError:\n    say('held.txt', 1)"
    rollout = await play(program(code, sandbox={"limits": {"memory_mib": 200}}), folder)
    assert rollout.failure is None, rollout.failure
    assert folder.found["held.txt"] == "1"


async def test_a_registered_provider_is_as_good(folder: Folder) -> None:
    def made(**settings: Any) -> LocalProvider:
        return LocalProvider(create={"isolation": "required"}, **settings)

    register_provider("made_here", made, override=True)
    sandbox = {"provider": {"default_metadata": {"team": "blue"}, "made_here": {"limits": {"processes": 50}}}}
    rollout = await play(program("ask(); say('done', 1)", sandbox=sandbox), folder)
    assert rollout.failure is None, rollout.failure
    assert folder.found["done"] == "1"


PRESETS = {
    "mini": (presets.mini_swe_agent, "bash", "command"),
    "claude": (presets.claude_code, "Bash", "command"),
    "codex": (presets.codex, "exec_command", "cmd"),
    "opencode": (presets.opencode, "bash", "command"),
}


@pytest.mark.parametrize("name", PRESETS)
async def test_a_preset_works_in_a_sandbox(name: str, folder: Folder, tmp_path: Path) -> None:
    make, tool, argument = PRESETS[name]
    link = tmp_path / name
    link.symlink_to(SUPPORT / "fake_cli.py")

    def script(params: RequestParams) -> str | list[Item]:
        if any(item["type"] == "function_call_output" for item in params["input"]):  # type: ignore[index]
            return "It is done."
        arguments = json.dumps({argument: "hostname > said.txt"})
        return [assistant("First."), function_call(tool, arguments, call_id="call_0")]

    rollout = await play(make(program=str(link), sandbox="local"), folder, script)
    assert rollout.failure is None, rollout.failure
    assert folder.found["said.txt"] == "sandbox\n"


@pytest.mark.parametrize(
    ("sandbox", "message"),
    [
        ("no_such", "Unknown sandbox provider 'no_such'"),
        ({"provder": "local"}, "no setting 'provder'. Did you mean 'provider'"),
        ({"provider": {"local": {"create": {"isolation": "off"}}}}, "isolated or has no sandbox"),
        ({"limits": {"ram": 1}}, "Unknown sandbox resource keys: ram"),
        ({"network": "some"}, "local.create.network: expected one of none, host"),
        ({"workdir": "here"}, "sandbox.workdir: expected an absolute path"),
        ({"provider": {"local": {}, "docker": {}}}, "exactly one provider"),
        ({"provider": {"docker": "python:3.12"}}, "settings of 'docker' as mappings"),
    ],
)
def test_a_wrong_setting_is_said_before_a_run(sandbox: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        program("ask()", sandbox=sandbox)


def test_a_secret_among_the_arguments_is_refused() -> None:
    for name in ("api_key", "mcp_token", "token"):
        with pytest.raises(UsageError, match="can be read by everybody"):
            Command(argv=[sys.executable, f"--key={{{name}}}"])


async def test_where_no_sandbox_can_be_made_the_run_does_not_begin(folder: Folder) -> None:
    agent = program("ask()", sandbox={"image": "python:3.12"})
    with pytest.raises(Exception, match="the local provider runs no images"):
        await agent.check()


def test_a_program_brings_its_virtual_environment_or_node_modules(tmp_path: Path) -> None:
    script = tmp_path / "venv" / "bin" / "mini"
    cli = tmp_path / "lib" / "node_modules" / "agent" / "cli.js"
    for path in (script, cli):
        path.parent.mkdir(parents=True)
        path.write_text("")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    link = tmp_path / "agent"
    link.symlink_to("lib/node_modules/agent/cli.js")
    assert str(tmp_path / "venv") == needed_by(str(script))[0]
    assert needed_by(str(link)) == [str(tmp_path / "lib" / "node_modules"), str(link), str(cli)]


def command_lines() -> list[bytes]:
    found: list[bytes] = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:
            continue
    return found
