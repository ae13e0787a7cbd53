"""`gym eval profile`, `aggregate` and `reverify` on the files of real runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import StartServer, read_rows

from tests.support.started import Gym

SCRIPT = r"""
def answer(params):
    return r"It is \boxed{B}."
"""
SCRIPTED = ("--model-type", "scripted", "-m", "script.py:answer")
COUNTING = "def answer(params):\n    return '7'\n"
JUDGED = """
import os
from nemo_gym import Environment
from nemo_gym.wire.errors import ModelTimeout

class Judged(Environment):
    def verify(self, task, response, session):
        if not os.path.exists("judge_is_up"):
            raise ModelTimeout("the judge did not answer")
        return 1.0
"""
MENDED = """
from nemo_gym import Environment, ask

class Mended(Environment):
    stateless = True
    reward_range = (0.0, 1.0)

    def tasks(self, split, seed, n):
        return [{"responses_create_params": ask("?"), "number": i} for i in range(4)]

    def verify(self, task, response, session):
        if session.row["number"] % 2 == 0:
            return 0.0
        RETURN
"""


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    program.script(SCRIPT)
    yield program
    program.clean()


@pytest.fixture
def run(gym: Gym) -> Gym:
    """With a finished run of mcqa at `old.jsonl`."""
    ran(gym("run", "mcqa", *SCRIPTED, "--split", "example", "--num-repeats", 2, "-o", "old.jsonl"))
    return gym


def ran(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def rows(gym: Gym, name: str) -> list[dict[str, Any]]:
    """Without what differs from one run to the next."""
    scored = [{**row, "ng_timing": {}} for row in read_rows(gym.folder / name)]
    return sorted(scored, key=lambda row: (row["_ng_task_index"], row["_ng_rollout_index"]))


def metrics(gym: Gym, name: str) -> Any:
    return json.loads((gym.folder / f"{name}_aggregate_metrics.json").read_text())


class TestProfile:
    def test_a_run_is_profiled_by_its_rollouts_file(self, run: Gym) -> None:
        result = json.loads(ran(run("eval", "profile", "--rollouts", "old.jsonl", "--json")))
        assert result["completion"]["complete_tasks"] == 5
        profile = read_rows(run.folder / result["files"]["reward_profile"])
        assert [len(task["rollout_infos"]) for task in profile] == [2] * 5
        assert {task["sample"]["expected_answer"] for task in profile} >= {"A"}

    def test_the_originals_words_and_name_do_the_same(self, run: Gym) -> None:
        path = run.folder / "old.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:7]))
        words = (
            "+materialized_inputs_jsonl_fpath=old_materialized_inputs.jsonl",
            "+rollouts_jsonl_fpath=old.jsonl",
        )
        refused = run("eval", "profile", *words)
        assert refused.returncode == 2
        assert "3 of the 10 rows of old_materialized_inputs.jsonl have no rollout" in refused.stderr
        program = (
            "import sys; sys.argv[0] = 'ng_reward_profile'; from nemo_gym.cli.legacy import main; main()"
        )
        argv = [sys.executable, "-c", program, *words, "++allow_partial_rollouts=true"]
        result = subprocess.run(argv, cwd=run.folder, capture_output=True, text=True, timeout=60, check=False)
        assert "7 of 10 rollouts (70.00 %): 3 tasks complete, 1 partial, 1 without any" in ran(result)
        assert result.stderr == "gym: ng_reward_profile is deprecated: it is now `gym eval profile`\n"

    def test_a_word_that_means_nothing_is_met_with_the_nearest(self, run: Gym) -> None:
        result = run("eval", "profile", "--rollouts", "old.jsonl", "++allow_partial_rollout=true")
        assert (result.returncode, "'allow_partial_rollouts'?" in result.stderr) == (2, True)


class TestAggregate:
    def test_shards_of_a_run_come_to_what_the_run_came_to(self, run: Gym) -> None:
        lines = (run.folder / "old.jsonl").read_text().splitlines(keepends=True)
        for number in range(3):
            (run.folder / f"part{number}.jsonl").write_text("".join(lines[number::3]))
        ran(run("eval", "aggregate", "mcqa", "-i", "part*.jsonl", "-o", "all.jsonl"))
        assert rows(run, "all.jsonl") == rows(run, "old.jsonl")
        assert metrics(run, "all") == metrics(run, "old")
        assert "mean reward" in ran(run("runs", "show", "all.jsonl"))
        again = run("eval", "aggregate", "mcqa", "-i", "part*.jsonl", "-o", "all.jsonl")
        assert (again.returncode, "all.jsonl exists already: pass --overwrite" in again.stderr) == (2, True)
        twice = run("eval", "aggregate", "-i", "part*.jsonl,old.jsonl", "-o", "all.jsonl", "--overwrite")
        assert "are both task" in twice.stderr
        assert rows(run, "all.jsonl") == rows(run, "old.jsonl")

    def test_a_wrong_name_is_noticed_before_anything_is_written(self, run: Gym) -> None:
        result = run("eval", "aggregate", "mcqaa", "-i", "old.jsonl", "-o", "all.jsonl")
        assert (result.returncode, "Did you mean 'mcqa'?" in result.stderr) == (2, True)
        assert not list(run.folder.glob("all*"))

    def test_figures_of_other_rows_are_not_shown_as_those_of_a_run(self, run: Gym) -> None:
        assert "key metrics of" in ran(run("runs", "show", "old.jsonl"))
        path = run.folder / "old.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:7]))
        assert "key metrics of" not in ran(run("runs", "show", "old.jsonl"))

    def test_the_words_of_the_original_write_the_metrics_alone(self, run: Gym) -> None:
        (run.folder / "run.yaml").write_text("environment: mcqa\nmodel: random\n")
        words = ("+input_glob=old.jsonl", "+output_jsonl_fpath=all.jsonl", "++merge_shards=false")
        ran(run("eval", "aggregate", "+config_paths=[run.yaml]", *words))
        assert metrics(run, "all") == metrics(run, "old")
        assert not (run.folder / "all.jsonl").exists()

    def test_running_agents_are_asked_for_what_only_they_know(self, gym: Gym) -> None:
        config = Path(gym.program("counter", _COUNTER))
        tree = json.loads(config.read_text())
        tree |= {"counting": {"responses_api_agents": {"simple_agent": {
            "entrypoint": "app.py",
            "resources_server": {"type": "resources_servers", "name": "counter"},
            "model_server": {"type": "responses_api_models", "name": "policy_model"},
        }}}}  # fmt: skip
        config.write_text(json.dumps(tree))
        port = next(word for word in gym.start("--config", config, *SCRIPTED).split() if "http" in word)
        row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "agent_ref": {"name": "counting"}, "reward": 1.0}
        (gym.folder / "a.jsonl").write_text(json.dumps(row) + "\n")
        (state,) = json.loads(gym("env", "status", "--json").stdout)["servers"][:1]
        assert port
        ran(gym("eval", "aggregate", "-i", "a.jsonl", "-o", "all.jsonl", "--head-url", state["head_url"]))
        assert metrics(gym, "all")[0]["agent_metrics"]["counted"] == 1
        gym("env", "stop")


_COUNTER = """
from nemo_gym.base_resources_server import *

class CountServer(SimpleResourcesServer):
    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=float("7" in body.response.output_text))

    def compute_metrics(self, tasks):
        return {"counted": sum(map(len, tasks))}

if __name__ == "__main__":
    CountServer.run_webserver()
"""
STATELESS = "class CountConfig(BaseResourcesServerConfig):\n    REVERIFY_MODE = ReverifyMode.STATELESS\n"


class TestReverify:
    def test_a_run_scored_anew_is_the_run(self, run: Gym) -> None:
        ran(run("eval", "reverify", "--rollouts", "old.jsonl", "-o", "new.jsonl"))
        assert rows(run, "new.jsonl") == rows(run, "old.jsonl")
        assert metrics(run, "new") == metrics(run, "old")

    def test_an_existing_output_is_only_touched_as_asked(self, run: Gym) -> None:
        command = ("eval", "reverify", "--rollouts", "old.jsonl", "-o", "new.jsonl")
        ran(run(*command, "--limit", 3))
        before = rows(run, "new.jsonl")
        assert len(before) == 3
        refused = run(*command)
        assert (refused.returncode, "new.jsonl exists already" in refused.stderr) == (2, True)
        other = run(*command, "--resume")
        assert (other.returncode, "inputs.limit was 3, is now None" in other.stderr) == (2, True)
        assert "can be added" not in other.stderr
        assert rows(run, "new.jsonl") == before
        ran(run(*command, "--append"))
        assert rows(run, "new.jsonl") == rows(run, "old.jsonl")
        assert list(run.folder.glob("*appending*")) == []
        ran(run(*command, "--overwrite", "--limit", 2))
        assert len(rows(run, "new.jsonl")) == 2
        itself = run("eval", "reverify", "--rollouts", "old.jsonl", "-o", "old.jsonl", "--overwrite")
        assert (itself.returncode, "old.jsonl is read" in itself.stderr) == (2, True)
        assert len(rows(run, "old.jsonl")) == 10

    def test_a_stateful_environment_is_refused_unless_forced_and_the_name_says_so(self, gym: Gym) -> None:
        flags = ("--model-type", "oracle", "--limit", 2, "-o", "old.jsonl")
        ran(gym("run", "example_session_state_mgmt", "--split", "example", *flags))
        command = ("eval", "reverify", "--rollouts", "old.jsonl", "-o", "new.jsonl")
        refused = gym(*command)
        assert refused.returncode == 2
        assert "example_session_state_mgmt: its reverify mode is 'unsupported'" in refused.stderr
        forced = gym(*command, "--force")
        assert "warning: example_session_state_mgmt" in forced.stderr
        assert not (gym.folder / "new.jsonl").exists()
        assert len(rows(gym, "unsafe_new.jsonl")) == 2

    def test_a_resources_server_at_a_url_scores(self, run: Gym) -> None:
        run.start("mcqa", *SCRIPTED)
        url = run.servers()["mcqa"]["url"]
        ran(run("eval", "reverify", "--environment-url", url, "--rollouts", "old.jsonl", "-o", "new.jsonl"))
        assert rows(run, "new.jsonl") == rows(run, "old.jsonl")
        assert metrics(run, "new") == metrics(run, "old")
        run("env", "stop")

    def test_a_server_that_does_not_say_is_refused(self, run: Gym, start_server: StartServer) -> None:
        url, _ = start_server()
        result = run(
            "eval", "reverify", "--environment-url", url, "--rollouts", "old.jsonl", "-o", "new.jsonl"
        )
        assert (result.returncode, "its reverify mode is 'unknown'" in result.stderr) == (2, True)

    def test_a_users_own_server_is_started_for_it_without_a_model(self, gym: Gym) -> None:
        text = _COUNTER.replace(
            "class CountServer(SimpleResourcesServer):",
            STATELESS + "class CountServer(SimpleResourcesServer):\n    config: CountConfig\n",
        )
        config = gym.program("counter", text)
        message = {"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": [
            {"type": "output_text", "text": "7", "annotations": []}]}  # fmt: skip
        response = {"id": "r", "created_at": 0.0, "model": "m", "object": "response", "output": [message],
                    "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}  # fmt: skip
        stamp = {"_ng_task_index": 0, "_ng_rollout_index": 0, "agent_ref": {"name": "counting"}}
        inputs = {**stamp, "responses_create_params": {"input": "count!"}}
        (gym.folder / "old_materialized_inputs.jsonl").write_text(json.dumps(inputs) + "\n")
        (gym.folder / "old.jsonl").write_text(
            json.dumps({**inputs, "response": response, "reward": 0.0}) + "\n"
        )
        ran(gym("eval", "reverify", "--config", config, "--rollouts", "old.jsonl", "-o", "new.jsonl"))
        assert [row["reward"] for row in rows(gym, "new.jsonl")] == [1.0]
        assert metrics(gym, "new")[0]["agent_metrics"]["counted"] == 1
        assert gym.processes() == {}

    def test_trajectories_whose_judge_failed_are_scored_once_it_is_back(self, gym: Gym) -> None:
        (gym.folder / "judged.py").write_text(JUDGED)
        task = {"responses_create_params": {"input": "?"}}
        (gym.folder / "in.jsonl").write_text(f"{json.dumps(task)}\n{json.dumps({**task, 'n': 1})}\n")
        first = gym("run", "judged.py", "-i", "in.jsonl", *SCRIPTED, "-o", "run.jsonl")
        assert first.returncode == 1
        failures = read_rows(gym.folder / "run_failures.jsonl")
        assert {row["_ng_failure_class"] for row in failures} == {"judge_failed"}

        (gym.folder / "judge_is_up").touch()
        command = (
            "eval",
            "reverify",
            "--rollouts",
            "run.jsonl",
            "-o",
            "run.jsonl",
            "--judge-failed-only",
            "--append",
        )
        summary = json.loads(ran(gym(*command, "--json")))["summary"]

        assert (summary["scored"], summary["failed"], summary["pending"]) == (2, {}, 0)
        assert [row["reward"] for row in rows(gym, "run.jsonl")] == [1.0, 1.0]
        again = gym(*command)
        assert (again.returncode, "nothing to score again" in again.stderr) == (2, True)

    def test_rollouts_whose_verifier_failed_are_scored_once_it_is_mended(self, gym: Gym) -> None:
        environment = gym.folder / "mended.py"
        environment.write_text(MENDED.replace("RETURN", "return {}['no such key']"))
        first = gym("run", "mended.py", *SCRIPTED, "-o", "run.jsonl")
        assert first.returncode == 0
        failure = read_rows(gym.folder / "run_failures.jsonl")[0]
        assert "mended.py:14)" in failure["_ng_failure_error"]
        assert "in verify: return {}['no such key']" in failure["_ng_failure_traceback"]
        environment.write_text(MENDED.replace("RETURN", "return 0.75"))

        command = ("eval", "reverify", "--rollouts", "run.jsonl", "-o", "run.jsonl", "--failed", "--append")
        summary = json.loads(ran(gym(*command, "--json")))["summary"]

        assert (summary["scored"], summary["failed"], summary["pending"]) == (4, {}, 0)
        assert [row["reward"] for row in rows(gym, "run.jsonl")] == [0.0, 0.75, 0.0, 0.75]
        resumed = gym("run", "mended.py", *SCRIPTED, "-o", "run.jsonl", "--resume")
        assert "accept the change 'environment' to go on" in resumed.stderr
        ran(
            gym(
                "run",
                "mended.py",
                *SCRIPTED,
                "-o",
                "run.jsonl",
                "--resume",
                "--accept-changes",
                "environment",
            )
        )

    def test_a_link_that_leads_back_to_itself_is_one_line(self, run: Gym, tmp_path: Path) -> None:
        loop = tmp_path / "loop.jsonl"
        loop.symlink_to(loop)
        result = run(
            "eval", "reverify", "reasoning", "--rollouts", loop, "--inputs", loop, "-o", tmp_path / "o.jsonl"
        )
        assert (result.returncode, result.stderr.count("\n"), "loop.jsonl" in result.stderr) == (2, 1, True)

    def test_without_a_manifest_somebody_has_to_say_which_environment(self, run: Gym) -> None:
        (run.folder / "old_manifest.json").unlink()
        result = run("eval", "reverify", "--rollouts", "old.jsonl", "-o", "new.jsonl")
        assert (result.returncode, "which environment?" in result.stderr) == (2, True)
        ran(run("eval", "reverify", "--environment", "mcqa", "--rollouts", "old.jsonl", "-o", "new.jsonl"))
        assert rows(run, "new.jsonl") == rows(run, "old.jsonl")
