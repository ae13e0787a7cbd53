"""The processes of several server programs, forked from one that has imported what they import."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nemo_gym.serving import fork_server_main
from nemo_gym.serving.fork_server import ForkServer
from tests.support.started import COUNTER, Gym, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the fork server")

SECRET = "sk-very-secret-0123456789"
TOKEN = "token-0123456789-abcdef"
PLAIN = COUNTER.replace('    print("settings"', '    # print("settings"')
FACTS = """
import hashlib, json, multiprocessing, random, resource, signal, sys, threading

def facts(here):
    apart = ("NEMO_GYM_CONFIG_DICT", "NEMO_GYM_CONFIG_PATH")
    return {
        "argv": sys.argv, "cwd": os.getcwd(), "sys.path": sys.path, "flags": str(sys.flags),
        "environment": {k: v for k, v in os.environ.items() if k not in apart},
        "instance": os.environ["NEMO_GYM_CONFIG_PATH"],
        "leads a session": os.getsid(0) == os.getpid() == os.getpgid(0),
        "standard input": os.readlink("/proc/self/fd/0"),
        "threads": [one.name for one in threading.enumerate()],
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE), "umask": os.umask(0o77) and None,
        "signals": [str(signal.getsignal(one)) for one in (1, 2, 13, 15, 17)],
        "main": [__name__, sys.modules["__main__"].__file__],
        "streams": [sys.stdout.encoding, sys.stdout.write_through, sys.stderr.line_buffering],
    }

def own():
    key = hashlib.sha256(bytes(multiprocessing.current_process().authkey)).hexdigest()
    return {"key": key, "random": random.random(), "files": len(os.listdir("/proc/self/fd"))}

if __name__ == "__main__":
    with open("facts.json", "w") as file:
        json.dump({"same": facts(os.getcwd()), "own": own()}, file)
"""


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    made = Gym(tmp_path)
    yield made
    made.clean()


def programs(gym: Gym, text: str = PLAIN, names: tuple[str, ...] = ("one", "two")) -> list[str]:
    """The words of a command that name the configurations of programs."""
    return [word for name in names for word in ("--config", gym.program(name, text))]


def fork_servers(gym: Gym) -> list[int]:
    return [
        pid for pid, argv in gym.processes().items() if int(parent(pid)) in gym.processes() and forks(argv)
    ]


def forks(argv: str) -> bool:
    return "fork_server_main" in argv


def parent(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]


def the_fork_server(gym: Gym) -> int:
    """The one whose parent is no fork."""
    listed = fork_servers(gym)
    (pid,) = [pid for pid in listed if int(parent(pid)) not in listed]
    return pid


def facts(gym: Gym, name: str) -> dict[str, Any]:
    return json.loads((gym.folder / "resources_servers" / name / "facts.json").read_text())


def test_a_fork_has_what_a_process_of_its_own_has(gym: Gym) -> None:
    text = PLAIN.replace('if __name__ == "__main__":', FACTS.lstrip() + 'if __name__ == "__main__":')
    words = programs(gym, text)
    gym.start(*words)
    server = the_fork_server(gym)
    assert {parent(one["pid"]) for one in gym.servers().values()} == {str(server)}
    forked = facts(gym, "one")
    assert forked["same"]["leads a session"]
    assert forked["same"]["cwd"].endswith("resources_servers/one")
    mine, other = forked["own"], facts(gym, "two")["own"]
    assert mine["key"] != other["key"]
    assert mine["random"] != other["random"]
    assert mine["files"] == 7  # the standard ones, the lifeline and a null device; facts.json and the listing
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}
    gym.start(*words[:2])
    assert fork_servers(gym) == []
    assert facts(gym, "one")["same"] == forked["same"]


def test_nothing_that_can_be_listed_holds_a_secret(gym: Gym) -> None:
    token = gym.folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    words = (*programs(gym), f"+one.resources_servers.one.api_key={SECRET}")
    gym.start(*words, "--host", "0.0.0.0", "--token-file", token, NEMO_GYM_MODEL_API_KEY=SECRET, MINE=TOKEN)
    assert len(gym.processes()) == 4
    children = [the_fork_server(gym), *(one["pid"] for one in gym.servers().values())]
    for pid in children:
        shown = Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
        assert SECRET not in shown
        assert TOKEN not in shown
        assert "NEMO_GYM_CONFIG_DICT" not in shown


def test_what_a_program_prints_goes_to_its_own_log_without_secrets(gym: Gym) -> None:
    gym.start(*programs(gym, COUNTER), f"+two.resources_servers.two.api_key={SECRET}")
    for name, key in (("one", ""), ("two", "****")):
        (log,) = gym.runtime.rglob(f"{name}.log")
        assert f"settings {key} {gym.folder / 'resources_servers' / name}\n" in log.read_text()
    assert SECRET not in gym.logs


def test_a_fork_that_ends_is_noticed_and_the_others_go_on(gym: Gym) -> None:
    gym.start(*programs(gym))
    servers = gym.servers()
    os.kill(servers["one"]["pid"], signal.SIGKILL)
    assert until(lambda: "one ended with exit code -9" in gym.logs)
    assert httpx.get(servers["two"]["url"], timeout=60).status_code == 200
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}


def test_the_end_of_the_fork_server_is_the_end_of_its_programs(gym: Gym) -> None:
    gym.start(*programs(gym))
    os.kill(the_fork_server(gym), signal.SIGKILL)
    assert until(lambda: "one ended with exit code -9" in gym.logs and "two ended with" in gym.logs)
    assert until(lambda: len(gym.processes()) == 1)
    assert gym("env", "status").returncode == 1
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}


def test_the_end_of_the_supervisor_is_the_end_of_everything(gym: Gym) -> None:
    gym.start(*programs(gym))
    os.kill(int(parent(the_fork_server(gym))), signal.SIGKILL)
    assert until(lambda: gym.processes() == {})


def test_a_program_that_exits_fails_the_start_with_its_last_lines(gym: Gym) -> None:
    broken = gym.program("broken", "print('no weights')\nraise SystemExit(7)\n")
    failed = gym("env", "start", *programs(gym), "--config", broken, "--port", 0)
    assert failed.returncode == 1
    assert "broken did not start" in failed.stderr
    assert "exit code 7. Its last output:\n  | no weights" in failed.stderr
    assert gym.processes() == {}


def test_a_traceback_of_a_fork_is_its_last_output(gym: Gym) -> None:
    broken = gym.program("broken", "raise RuntimeError('no weights')\n")
    failed = gym("env", "start", *programs(gym), "--config", broken, "--port", 0)
    assert "exit code 1" in failed.stderr
    assert "  | RuntimeError: no weights" in failed.stderr


def test_a_module_with_the_name_of_an_imported_one_needs_an_ordinary_process(gym: Gym) -> None:
    words = programs(gym, names=("one", "two", "clash"))
    (gym.folder / "resources_servers" / "clash" / "json.py").write_text("")
    (gym.folder / "resources_servers" / "one" / "utils.py").write_text("")
    gym.start(*words)
    ordinary = [argv for argv in gym.processes().values() if "server_process_main" in argv]
    assert [argv.split()[-1] for argv in ordinary] == ["clash"]


def test_a_process_with_threads_is_never_forked(gym: Gym) -> None:
    site = gym.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    gym.start(*programs(gym), PYTHONPATH=str(site))
    assert sum("server_process_main" in argv for argv in gym.processes().values()) == 2
    assert fork_servers(gym) == []


def test_each_of_several_workers_serves(gym: Gym) -> None:
    several = (
        "from nemo_gym.server_utils import is_nemo_gym_fastapi_entrypoint\n"
        "if is_nemo_gym_fastapi_entrypoint(__file__):\n"
        "    app = CountServer.run_webserver()\n"
    )
    gym.start(*programs(gym, PLAIN + several), "+one.resources_servers.one.num_workers=2")
    assert sum("spawn_main" in argv for argv in gym.processes().values()) == 2
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}


def test_nothing_that_is_imported_before_the_fork_knows_the_working_folder() -> None:
    names = "; ".join(f"import {name}" for name in fork_server_main.PRELOADED)
    code = f"import sys; import nemo_gym.serving.fork_server_main; {names}; print(*sys.modules)"
    loaded = asyncio.run(_output(code)).split()
    assert "nemo_gym.compat.base_resources_server" in loaded
    assert "nemo_gym.compat.paths" not in loaded


def test_why_a_process_is_not_forked(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("")
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert fork_server_main.obstacle(str(tmp_path)) == "an import has started a thread"
    finally:
        stop.set()
        thread.join()


async def test_without_its_process_it_forks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    server = ForkServer({})
    before = len(os.listdir("/proc/self/fd"))
    try:
        assert await server.fork("one", "/tmp", limit=100) is None
    finally:
        await server.close()
    assert len(os.listdir("/proc/self/fd")) <= before


async def _output(code: str) -> str:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()
