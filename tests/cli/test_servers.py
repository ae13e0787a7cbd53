"""`gym env start`, `status` and `stop`, with real processes."""

from __future__ import annotations

import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.started import COUNTER, Gym, until

B = r"def answer(params): return 'It is \\boxed{B}.'"
QUESTION: dict[str, Any] = {
    "responses_create_params": {"input": [{"role": "user", "content": "Which?\n\nA: no\nB: yes"}]},
    "options": [{"A": "no"}, {"B": "yes"}],
    "expected_answer": "B",
}
SECRET = f"sk-very-secret-{uuid4().hex}"
"""Of this process only: other tests may be running, and be seen in a listing of processes."""


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    yield program
    program.clean()


def mcqa(gym: Gym, script: str = B) -> tuple[str, ...]:
    return ("mcqa", "--model-type", "scripted", "-m", gym.script(script))


def run_agent(gym: Gym, name: str = "mcqa_simple_agent", **row: Any) -> httpx.Response:
    return httpx.post(f"{gym.servers()[name]['url']}/run", json=QUESTION | row, timeout=60)


def test_the_simple_form_starts_an_environment_its_agent_and_a_model_and_stop_leaves_nothing(
    gym: Gym,
) -> None:
    output = gym.start(*mcqa(gym))
    assert "3 / 3 servers ready" in output
    servers = gym.servers()
    assert {name: (one["server_type"], one["status"]) for name, one in servers.items()} == {
        "mcqa": ("resources_servers", "success"),
        "mcqa_simple_agent": ("responses_api_agents", "success"),
        "policy_model": ("responses_api_models", "success"),
    }
    assert run_agent(gym).json()["reward"] == 1.0
    assert gym("env", "status").returncode == 0
    assert len(gym.processes()) == 1
    stopped = gym("env", "stop")
    assert stopped.returncode == 0
    assert "stopped the servers of" in stopped.stdout
    assert gym.processes() == {}
    assert [path for path in gym.runtime.rglob("*") if path.suffix != ".log" and path.is_file()] == []
    assert gym("env", "status").returncode == 1


def test_stopping_when_nothing_runs_says_so(gym: Gym) -> None:
    stopped = gym("env", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "no servers are running\n")


def test_isolated_servers_have_a_process_each_and_a_killed_one_is_noticed(gym: Gym) -> None:
    gym.start(*mcqa(gym), "--isolate")
    assert run_agent(gym).json()["reward"] == 1.0
    servers = gym.servers()
    pids = {one["pid"] for one in servers.values()}
    assert len(pids) == 3
    assert len(gym.processes()) == 4
    os.kill(servers["mcqa"]["pid"], signal.SIGKILL)
    assert until(lambda: "mcqa ended with exit code -9" in gym.logs)
    assert gym.servers()["mcqa"]["status"] == "connection_error"
    assert gym("env", "status").returncode == 1
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}


def test_the_end_of_the_supervisor_is_the_end_of_its_servers(gym: Gym) -> None:
    gym.start(*mcqa(gym), "--isolate")
    (supervisor,) = [pid for pid, argv in gym.processes().items() if "cli.serve" in argv]
    os.kill(supervisor, signal.SIGKILL)
    assert until(lambda: gym.processes() == {})
    assert gym("env", "status").stdout == "no servers are running\n"


def test_a_server_written_for_the_original_package_is_started_in_its_folder(gym: Gym) -> None:
    config = gym.program("counter")
    gym.start("--config", config, f"+counter.resources_servers.counter.api_key={SECRET}")
    row = {
        "responses_create_params": {"input": "how many?"},
        "response": {
            "id": "r", "created_at": 0, "model": "m", "object": "response", "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": [],
            "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed",
                        "content": [{"type": "output_text", "text": "7", "annotations": []}]}],
        },
        "expected": 7,
    }  # fmt: skip
    answer = httpx.post(f"{gym.servers()['counter']['url']}/verify", json=row)
    assert answer.json()["reward"] == 1.0
    folder = gym.folder / "resources_servers" / "counter"
    assert f"settings **** {folder}\n" in gym.logs
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}


@pytest.mark.parametrize("isolate", [False, True], ids=["one process", "isolated"])
def test_no_secret_is_in_a_listing_of_processes_in_a_log_or_in_the_published_configuration(
    gym: Gym, isolate: bool
) -> None:
    config = gym.program("counter", COUNTER.replace("print(", "print(dict(os.environ), "))
    words = [
        *("--config", config, "--environment", "mcqa", "--model-type", "chat", "-m", "m"),
        *("--model-url", "http://127.0.0.1:9/v1", "--model-api-key", SECRET, "--host", "0.0.0.0"),
        *(["--isolate"] if isolate else []),
    ]
    token = "token-0123456789-abcdef"
    with gym.foreground(*words, "--token-env", "GYM_TOKEN", GYM_TOKEN=token) as process:
        listing = subprocess.run(
            ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout
        assert len(gym.processes()) == (5 if isolate else 2)
        assert "nemo_gym.serving.server_process_main counter" in listing
        head = re.search(r'"head_url":"([^"]+)"', next((gym.runtime / "nemo-gym").glob("*.json")).read_text())
        assert head is not None
        published = httpx.get(
            f"{head[1]}/global_config_dict_yaml", headers={"authorization": f"Bearer {token}"}
        ).text
        assert "policy_api_key: '****'" in published
        process.terminate()
        output, _ = process.communicate()
        assert process.returncode == 0
    for secret in (SECRET, token):
        assert secret not in listing + gym.logs + published + output
    assert gym.processes() == {}


def test_strangers_get_401_on_every_route_of_a_server_that_they_can_reach(gym: Gym) -> None:
    token = re.search(r"^token: (\S+)", gym.start(*mcqa(gym), "--host", "0.0.0.0"), re.MULTILINE)
    assert token is not None
    authorization = {"authorization": f"Bearer {token[1]}"}
    (state,) = (gym.runtime / "nemo-gym").glob("*.token")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    servers = gym.servers()
    head = f"http://127.0.0.2:{next(iter(servers.values()))['head_url'].rpartition(':')[2]}"
    urls = [head, *(f"http://127.0.0.2:{one['port']}" for one in servers.values())]
    assert len(urls) == 4
    for url in urls:
        document = httpx.get(f"{url}/openapi.json", headers=authorization).json()
        routes = [(method, path) for path, methods in document["paths"].items() for method in methods]
        assert ("get", "/") in routes
        for method, path in [*routes, ("get", "/openapi.json"), ("get", "/none"), ("options", "/")]:
            for headers in ({}, {"authorization": "Bearer wrong"}):
                answer = httpx.request(method, url + path, headers=headers)
                assert answer.status_code == 401, (url, method, path)
        assert httpx.get(url, headers=authorization).status_code == 200
    assert gym("env", "status").returncode == 0


def test_a_server_written_for_the_original_package_asks_strangers_for_the_token_too(gym: Gym) -> None:
    config = gym.program("counter")
    gym.start("--config", config, "--host", "0.0.0.0", "--token-env", "GYM_TOKEN", GYM_TOKEN="x" * 16)
    url = f"http://127.0.0.2:{gym.servers()['counter']['port']}"
    for path in ("/", "/verify", "/seed_session", "/docs", "/openapi.json", "/none"):
        assert httpx.post(url + path, json={}).status_code == 401
    assert httpx.get(url, headers={"authorization": f"Bearer {'x' * 16}"}).status_code == 200


def test_sigterm_lets_a_request_in_flight_finish(gym: Gym) -> None:
    script = """
        import asyncio, pathlib
        here = pathlib.Path(__file__).parent
        async def answer(params):
            (here / "asked").touch()
            while not (here / "go").exists():
                await asyncio.sleep(0.01)
            return "It is \\\\boxed{B}."
    """
    with gym.foreground(*mcqa(gym, re.sub("^ {8}", "", script, flags=re.MULTILINE))) as process:
        url = gym.servers()["mcqa_simple_agent"]["url"]
        with ThreadPoolExecutor() as pool:
            rollout = pool.submit(httpx.post, f"{url}/run", json=QUESTION, timeout=60)
            assert until((gym.folder / "asked").exists)
            process.terminate()
            assert until(lambda: refuses(url))
            assert process.poll() is None
            (gym.folder / "go").touch()
            assert rollout.result().json()["reward"] == 1.0
        assert process.wait(timeout=60) == 0


def test_a_closed_terminal_ends_the_servers_in_good_order(gym: Gym) -> None:
    """As closing the window does: the kernel sends the hang-up, and whatever is printed then fails."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(gym.folder)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup themselves
        words = [sys.executable, "-m", "nemo_gym", "env", "start", *mcqa(gym), "--port", "0", "--isolate"]
        os.execve(sys.executable, words, gym.env)
    output = b""
    while b"servers ready" not in output:
        output += os.read(terminal, 4096)
    os.close(terminal)
    assert until(lambda: gym.processes() == {})
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [path for path in gym.runtime.rglob("*") if path.suffix != ".log" and path.is_file()] == []


def refuses(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return True
    return False


def test_a_server_that_does_not_start_is_named_with_the_time_and_its_last_lines(gym: Gym) -> None:
    config = gym.program("broken", "import sys\nfor n in range(30): print('line', n)\nsys.exit(3)\n")
    failed = gym("env", "start", "--config", config, "--port", 0, "--detach")
    assert failed.returncode == 1
    assert re.search(r"broken did not start \(\d+\.\d s\): it ended with exit code 3", failed.stderr)
    assert [int(line) for line in re.findall(r"\| line (\d+)$", failed.stderr, re.MULTILINE)] == [
        *range(10, 30)
    ]
    assert gym.processes() == {}


def test_a_start_that_fails_after_a_server_printed_something_names_the_cause_only(gym: Gym) -> None:
    chatty = COUNTER.replace("import os", "import os\nprint('good morning')", 1)
    broken = gym.program("broken", "raise SystemExit('no way')")
    failed = gym("env", "start", "--config", gym.program("chatty", chatty), "--config", broken, "--port", 0)
    assert failed.returncode == 1
    assert "broken did not start" in failed.stderr
    assert "no way" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("alone", [[], ["--isolate"]])
def test_servers_written_for_the_original_package_refuse_pages_too(gym: Gym, alone: list[str]) -> None:
    gym.start("--config", gym.program("counter", COUNTER), *alone, "++allowed_hosts=[gym.example]")
    url = gym.servers()["counter"]["url"]

    def status(**headers: str) -> int:
        return httpx.post(f"{url}/seed_session", content=b"{}", headers=headers).status_code

    authorization = {"content-type": "application/json"}
    assert status(**authorization) == 200
    assert status(**authorization, host="gym.example") == 200
    assert status(**authorization, host="127.0.0.1.nip.example") == 403
    assert status(**authorization, origin="null") == 403
    assert status() == 415


def test_a_server_that_never_answers_is_given_up(gym: Gym) -> None:
    config = gym.program("asleep", "import time\nprint('asleep')\ntime.sleep(3600)\n")
    failed = gym("env", "start", "--config", config, "--port", 0, "--ready-timeout", 15)
    assert failed.returncode == 1
    assert "asleep did not start" in failed.stderr
    assert "| asleep" in failed.stderr
    assert gym.processes() == {}


def test_a_model_endpoint_that_is_not_there_yet_is_a_warning(gym: Gym) -> None:
    gym.start("mcqa", "--model-type", "chat", "--model-url", "http://127.0.0.1:9/v1", "-m", "m")
    assert until(lambda: "warning: no model endpoint at http://127.0.0.1:9/v1" in gym.logs)


@pytest.mark.parametrize("isolate", [[], ["--isolate"]], ids=["one process", "isolated"])
def test_settings_that_do_not_fit_name_the_server(gym: Gym, isolate: list[str]) -> None:
    failed = gym("env", "start", *mcqa(gym)[:-1], "nowhere.py:answer", *isolate, "--port", 0)
    assert failed.returncode == 1
    assert "policy_model did not start" in failed.stderr
    assert "nowhere.py: no such file" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_calls_of_a_rollout_are_kept_when_the_configuration_asks_for_it(gym: Gym) -> None:
    folder = gym.folder / "calls"
    gym.start(*mcqa(gym), "observability_enabled=true", f"model_call_capture_dir={folder}")
    url = gym.servers()["policy_model"]["url"]
    assert httpx.post(f"{url}/ng-rollout/r1/v1/responses", json={"input": "Which?"}).status_code == 200
    assert len((folder / "r1.capture.jsonl").read_text().splitlines()) == 1


def test_a_head_port_in_use_is_said_and_what_helps(gym: Gym) -> None:
    gym.start(*mcqa(gym))
    port = next(iter(gym.servers().values()))["head_url"].rpartition(":")[2]
    failed = gym("env", "start", *mcqa(gym), "--port", port)
    assert failed.returncode == 2
    assert f"port {port} of 127.0.0.1 is in use: `gym env stop --port {port}` stops" in failed.stderr
    assert gym("env", "stop", "--port", port).returncode == 0


def test_two_gyms_are_told_apart_by_the_port_of_their_head(gym: Gym) -> None:
    gym.start(*mcqa(gym))
    first = gym.servers()["mcqa"]["head_url"]
    gym.start(*mcqa(gym))
    assert gym("env", "status", "--json").stdout.count('"process_name"') == 6
    assert gym("env", "stop", "--port", first.rpartition(":")[2]).returncode == 0
    assert gym.servers()["mcqa"]["head_url"] != first
    assert "stopped" in gym("env", "stop").stdout
    assert gym.processes() == {}


@pytest.mark.parametrize("token", ["", "short", "has spaces in it, many"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(gym: Gym, token: str) -> None:
    refused = gym("env", "start", *mcqa(gym), "--token-env", "GYM_TOKEN", GYM_TOKEN=token)
    assert refused.returncode != 0
    assert "environment variable GYM_TOKEN: a token has at least 16" in refused.stderr


def test_a_token_in_a_variable_that_is_not_set_is_a_mistake(gym: Gym) -> None:
    refused = gym("env", "start", *mcqa(gym), "--token-env", "NOT_SET")
    assert refused.returncode == 2
    assert refused.stderr == "gym: --token-env NOT_SET: there is no such environment variable\n"
