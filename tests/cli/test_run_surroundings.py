"""What surrounds a run: saying what it would be, waiting for its model, a driver of the user's own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import read_rows

from tests.support.started import Gym

SCRIPT = r"""
def answer(params):
    return r"It is \boxed{B}."
"""
SCRIPTED = ("--model-type", "scripted", "-m", "script.py:answer")
LATE = """
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.end_headers()
    def log_message(self, *words):
        pass

sys.stdin.readline()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DRIVER = """
import json
from nemo_gym.rollout_collection import RolloutCollectionConfig, RolloutCollectionHelper

async def collect(config, global_config_dict):
    assert isinstance(config, RolloutCollectionConfig)
    rows = [json.loads(line) for line in open(config.input_jsonl_fpath)]
    with open(config.output_jsonl_fpath, "w") as out:
        for one in RolloutCollectionHelper().run_examples(rows):
            row, result = await one
            out.write(json.dumps({"agent": row["agent_ref"]["name"], "reward": result["reward"]}) + "\\n")
    print(sorted(key for key, value in global_config_dict.items() if "resources_servers" in str(value)))

async def whole(config, global_config_dict):
    await RolloutCollectionHelper().run_from_config(config)

async def broken(config, global_config_dict):
    raise RuntimeError("no luck")
"""


POOL = """
from nemo_gym import Environment, Reward, Task, ask

class Pool(Environment):
    def tasks(self, split, seed, n):
        yield Task(responses_create_params=ask("which provider?"))

    def verify(self, task, response, session):
        pool = self.resources.sandboxes
        return Reward(1.0, details={"provider": pool.provider().name, "most": pool.limit})
"""


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    program.script(SCRIPT)
    (tmp_path / "driving").mkdir()
    (tmp_path / "driving" / "mine.py").write_text(DRIVER)
    yield program
    program.clean()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


MCQA = ("eval", "run", "--environment", "mcqa", "--split", "example", "-o", "out.jsonl")


def driven(gym: Gym, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return gym(*MCQA, *SCRIPTED, f"++rollout_collection_driver=driving.mine:{name}", *words)


class TestDryRun:
    def test_a_run_is_described_and_nothing_is_written(self, gym: Gym) -> None:
        result = gym(*MCQA, *SCRIPTED, "--num-repeats", 3, "--dry-run", "--json")
        plan = json.loads(result.stdout)
        assert (plan["environment"], plan["tasks"], plan["rollouts"]) == ("mcqa", 5, 15)
        assert plan["model"] == {"type": "scripted", "name": "script.py:answer"}
        assert list(gym.folder.glob("out*")) == []

    def test_a_run_with_servers_names_them_and_starts_none(self, gym: Gym) -> None:
        result = gym(*MCQA, "--environment", "reasoning", *SCRIPTED, "--limit", 8, "++dry_run=true")
        assert result.returncode == 0, result.stderr
        assert "mcqa, mcqa_simple_agent" in result.stdout
        assert "rollouts           8" in result.stdout
        assert "servers started" not in result.stderr
        assert list(gym.folder.glob("out*")) == []

    def test_tasks_are_checked_all_the_same(self, gym: Gym) -> None:
        (gym.folder / "in.jsonl").write_text('{"responses_create_params": {"input": "?"}}\n')
        result = gym("run", "mcqa", "-i", "in.jsonl", *SCRIPTED, "--dry-run")
        assert (result.returncode, "in.jsonl:1:" in result.stderr) == (2, True)

    def test_servers_are_listed_and_none_is_started(self, gym: Gym) -> None:
        result = gym("env", "start", "mcqa", *SCRIPTED, "--port", 0, "--dry-run")
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1] == "nothing was started"
        assert gym.processes() == {}


class TestReadiness:
    def test_a_model_that_never_comes_up_is_named(self, gym: Gym) -> None:
        url = ("--model-url", "http://127.0.0.1:9/v1", "-m", "x", "--model-ready-timeout", 1.2)
        for command in (MCQA, ("env", "start", "mcqa", "--port", 0)):
            result = gym(*command, *url)
            assert result.returncode == 1
            assert "waiting up to 1 s more: no model endpoint at http://127.0.0.1:9/v1" in result.stderr
            assert "Connection refused (waited 1 s)" in result.stderr

    def test_a_host_that_nobody_knows_is_not_waited_for(self, gym: Gym) -> None:
        result = gym(*MCQA, "--model-url", "http://no.invalid/v1", "-m", "x", "--model-ready-timeout", 600)
        assert (result.returncode, "waiting" in result.stderr) == (1, False)
        assert "no model endpoint at http://no.invalid/v1" in result.stderr

    def test_servers_wait_until_their_model_answers(self, gym: Gym, unused_port: int) -> None:
        command = [sys.executable, "-c", LATE, str(unused_port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as late:
            assert late.stdin is not None
            argv = [
                sys.executable,
                "-m",
                "nemo_gym",
                "env",
                "start",
                "mcqa",
                "--model-type",
                "chat",
                "-m",
                "x",
            ]
            argv += ["--model-url", f"http://127.0.0.1:{unused_port}/v1", "--port", "0"]
            argv += ["++model_endpoint_readiness_timeout_seconds=60"]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            with subprocess.Popen(argv, cwd=gym.folder, env=gym.env, text=True, **pipes) as started:
                assert started.stdout is not None
                assert "waiting up to 60 s more" in started.stdout.readline()
                late.stdin.write("now\n")
                late.stdin.flush()
                banner = next(line for line in started.stdout if "servers ready" in line)
                assert banner
                started.terminate()
                started.stdout.read()
            late.kill()


class TestDriver:
    def test_a_driver_collects_from_the_servers_of_the_run(self, gym: Gym) -> None:
        result = driven(gym, "collect")
        assert result.returncode == 0, result.stderr
        assert "'mcqa_simple_agent'" in result.stdout
        rows = read_rows(gym.folder / "out.jsonl")
        assert [row["agent"] for row in rows] == ["mcqa_simple_agent"] * 5
        tasks = read_rows(gym.folder / "out" / "preprocessed_datasets" / "example.jsonl")
        assert len(tasks) == 5
        assert gym.processes() == {}

    def test_json_is_all_that_standard_output_has_whatever_a_driver_prints(self, gym: Gym) -> None:
        result = driven(gym, "collect", "--json")
        assert json.loads(result.stdout) == {"exit_code": 0, "files": ["out.jsonl"]}
        assert "'mcqa_simple_agent'" in result.stderr

    def test_a_driver_may_use_the_collector_with_what_was_asked_for(self, gym: Gym) -> None:
        result = driven(gym, "whole", "--num-repeats", "2", "--temperature", "0.5")
        assert result.returncode == 0, result.stderr
        rows = read_rows(gym.folder / "out.jsonl")
        assert len(rows) == 10
        assert {row["responses_create_params"]["temperature"] for row in rows} == {0.5}

    @pytest.mark.parametrize(
        ("name", "problem"), [("broken", "RuntimeError: no luck"), ("brokn", "no attribute 'brokn'")]
    )
    def test_a_driver_that_fails_ends_the_command_and_the_servers(
        self, gym: Gym, name: str, problem: str
    ) -> None:
        result = driven(gym, name)
        assert result.returncode != 0
        assert problem in result.stderr
        assert gym.processes() == {}

    def test_a_driver_collects_from_running_servers(self, gym: Gym) -> None:
        gym.start("mcqa", *SCRIPTED)
        head = next(iter(gym.servers().values()))["head_url"]
        row = {"responses_create_params": {"input": "?"}, "options": [{"B": "b"}], "expected_answer": "B"}
        (gym.folder / "in.jsonl").write_text(json.dumps(row) + "\n")
        result = gym(
            *("eval", "run", "--no-serve", "--head-url", head, "-i", "in.jsonl", "-o", "out.jsonl"),
            *("-a", "mcqa_simple_agent", "++rollout_collection_driver=driving.mine:whole"),
        )
        assert result.returncode == 0, result.stderr
        assert [row["reward"] for row in read_rows(gym.folder / "out.jsonl")] == [1.0]
        gym("env", "stop")


class TestSandboxProvider:
    """The pool's provider, as `--sandbox-provider` or `sandbox_provider` names it."""

    @pytest.mark.parametrize(
        "words",
        [
            ("pool.py", "--sandbox-provider", "apptainer", "--max-sandboxes", 4),
            ("pool.py", "--sandbox-provider", "apptainer", "--max-sandboxes", 8, "--workers", 2),
            ("pool.py", "+sandbox_provider=apptainer", "+max_sandboxes=4"),
            ("--config", "run.yaml", "--max-sandboxes", 4),
            ("--config", "local.yaml", "--max-sandboxes", 4, "--sandbox-provider", "apptainer"),
        ],
        ids=["flag", "workers", "word", "configuration", "a flag wins"],
    )
    def test_it_reaches_the_pool_of_a_run(self, gym: Gym, words: tuple[object, ...]) -> None:
        (gym.folder / "pool.py").write_text(POOL)
        for name, provider in (("run", "apptainer"), ("local", "local")):
            settings = f"environment: pool.py\nsandbox_provider: {provider}\n"
            (gym.folder / f"{name}.yaml").write_text(settings)
        result = gym("run", *words, *SCRIPTED, "-o", "out.jsonl")
        assert result.returncode == 0, result.stderr
        (row,) = read_rows(gym.folder / "out.jsonl")
        assert (row["provider"], row["most"]) == ("apptainer", 4)

    def test_it_reaches_the_pool_of_a_server(self, gym: Gym) -> None:
        (gym.folder / "pool.py").write_text(POOL)
        gym.start("pool.py", *SCRIPTED, "sandbox_provider=apptainer", "max_sandboxes=4")
        url = gym.servers()["pool"]["url"]
        result = gym("run", "pool.py", "--environment-url", url, *SCRIPTED, "-o", "out.jsonl")
        assert result.returncode == 0, result.stderr
        (row,) = read_rows(gym.folder / "out.jsonl")
        assert (row["provider"], row["most"]) == ("apptainer", 4)

    def test_an_unknown_one_stops_the_start_of_servers(self, gym: Gym) -> None:
        result = gym("env", "start", "mcqa", *SCRIPTED, "sandbox_provider=dockr", "--port", 0)
        assert result.returncode != 0
        message = "Unknown sandbox provider 'dockr'. Available providers: apptainer, docker, local"
        assert result.stderr.startswith(f"gym: {message}")
        assert len(result.stderr.splitlines()) == 1
