"""`gym eval run` over a configuration: in this process where that will do, else through servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import read_rows

from tests.support.started import Gym, until

SCRIPT = r"""
def answer(params):
    text = params["input"][-1]["content"]
    return "7" if "count" in text else r"It is \boxed{B}."
"""
SLOW = """
import asyncio
async def answer(params):
    open("asked", "w").close()
    await asyncio.sleep(600)
"""


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    program.script(SCRIPT)
    yield program
    program.clean()


SCRIPTED = ("--model-type", "scripted", "-m", "script.py:answer")


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def identity(gym: Gym, name: str) -> dict[str, Any]:
    return json.loads((gym.folder / f"{name}_manifest.json").read_text())["identity"]


def rewards(gym: Gym, name: str) -> dict[tuple[str, int, int], float]:
    rows = read_rows(gym.folder / f"{name}.jsonl")
    return {
        (row["agent_ref"]["name"], row["_ng_task_index"], row["_ng_rollout_index"]): row["reward"]
        for row in rows
    }


def ran(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stderr


def agent(name: str, environment: str, **fields: Any) -> dict[str, Any]:
    reference = {"type": "resources_servers", "name": environment}
    model = {"type": "responses_api_models", "name": "policy_model"}
    settings = {"entrypoint": "app.py", "resources_server": reference, "model_server": model}
    return {name: {"responses_api_agents": {"simple_agent": {**settings, **fields}}}}


def counter(gym: Gym, **fields: Any) -> str:
    """A user's own server with an agent and five tasks, the first of them twice."""
    config = Path(gym.program("counter"))
    task = {"responses_create_params": {"input": "count!"}, "expected": 7}
    write(gym.folder / "data.jsonl", task, *({**task, "expected": number} for number in range(3)), task)
    dataset = {"name": "small", "type": "example", "jsonl_fpath": "data.jsonl", **fields}
    tree = json.loads(config.read_text()) | agent("counting", "counter", datasets=[dataset])
    config.write_text(yaml.safe_dump(tree))
    return str(config)


def test_a_flat_file_makes_the_very_run_that_the_name_makes(gym: Gym) -> None:
    (gym.folder / "run.yaml").write_text("environment: {name: reasoning}\nmodel: random\n")
    flags = ("--limit", 8, "--num-repeats", 2, "--seed", 3, "--max-steps", 4)
    ran(gym("run", "reasoning", "--model-type", "random", *flags, "-o", "a.jsonl"))
    ran(gym("eval", "run", "--config", "run.yaml", *flags, "-o", "b.jsonl"))
    assert identity(gym, "a") == identity(gym, "b")
    by_name, by_file = rewards(gym, "a"), rewards(gym, "b")
    assert len(by_file) == 16
    assert {key[1:]: reward for key, reward in by_name.items()} == {
        key[1:]: reward for key, reward in by_file.items()
    }
    assert {key[0] for key in by_file} == {"reasoning_simple_agent"}


def test_a_built_in_environment_is_run_on_the_data_set_of_the_split(gym: Gym) -> None:
    output = ran(
        gym("eval", "run", "--environment", "mcqa", *SCRIPTED, "--split", "example", "-o", "a.jsonl")
    )
    assert "servers started" not in output
    assert identity(gym, "a")["environment"]["ref"] == "mcqa"
    assert identity(gym, "a")["inputs"]["source"] == "example.jsonl"
    assert len(rewards(gym, "a")) == 5


def test_several_environments_are_served_for_the_length_of_the_run(gym: Gym) -> None:
    words = ("--environment", "mcqa", "--environment", "reasoning", *SCRIPTED, "--split", "example")
    output = ran(gym("eval", "run", *words, "--limit", 8, "-o", "a.jsonl"))
    assert "5 servers started" in output
    agents = Counter(name for name, _, _ in rewards(gym, "a"))
    assert agents == {"mcqa_simple_agent": 5, "reasoning_simple_agent": 3}
    assert gym.processes() == {}
    ran(gym("run", "mcqa", *SCRIPTED, "--split", "example", "-o", "b.jsonl"))
    mcqa = [reward for key, reward in sorted(rewards(gym, "a").items()) if key[0].startswith("mcqa")]
    assert mcqa == [reward for _, reward in sorted(rewards(gym, "b").items())]


def test_a_users_own_server_is_started_asked_and_stopped(gym: Gym) -> None:
    output = ran(gym("eval", "run", "--config", counter(gym), *SCRIPTED, "-o", "a.jsonl"))
    assert "3 servers started" in output
    assert rewards(gym, "a") == {
        ("counting", 0, 0): 1.0, ("counting", 4, 0): 1.0,
        **{("counting", task, 0): 0.0 for task in (1, 2, 3)},
    }  # fmt: skip
    assert (gym.folder / "a_server_logs" / "counter.log").exists()
    assert gym.processes() == {}


def test_a_served_run_is_taken_up_again_and_another_configuration_is_not_the_same_run(gym: Gym) -> None:
    key = "+counter.resources_servers.counter.api_key=sk-very-secret-0123"
    words = ("eval", "run", "--config", counter(gym), *SCRIPTED, key, "-o", "a.jsonl")
    ran(gym(*words))
    assert [path for path in gym.folder.rglob("a*") if path.is_file() and "sk-very" in path.read_text()] == []
    assert "5 asked for, 5 scored" in ran(gym(*words, "--resume"))
    bonus = "counter.resources_servers.counter.bonus"
    changed = gym(*words, "--resume", f"++{bonus}=1")
    assert changed.returncode == 2
    expected = "environment.settings.counter.settings.bonus was None, is now 1"
    assert f"this is a different run: {expected}\n" in changed.stderr
    (gym.folder / "resources_servers" / "counter" / "more.py").touch()
    assert "environment.settings.counter.code was" in gym(*words, "--resume").stderr


def test_a_server_that_does_not_start_is_named_and_nothing_is_left(gym: Gym) -> None:
    config = counter(gym)
    (gym.folder / "resources_servers" / "counter" / "app.py").write_text("raise SystemExit('no luck')")
    result = gym("eval", "run", "--config", config, *SCRIPTED, "-o", "a.jsonl")
    assert result.returncode == 1
    assert "counter did not start" in result.stderr
    assert "no luck" in result.stderr
    assert gym.processes() == {}
    assert not (gym.folder / "a.jsonl").exists()


def test_an_interrupted_run_leaves_no_server(gym: Gym) -> None:
    config = counter(gym)
    gym.script(SLOW)
    command = [
        sys.executable,
        "-m",
        "nemo_gym",
        "eval",
        "run",
        "--config",
        config,
        *SCRIPTED,
        "-o",
        "a.jsonl",
    ]
    with subprocess.Popen(command, cwd=gym.folder, env=gym.env, stderr=subprocess.DEVNULL) as process:
        assert until((gym.folder / "asked").exists)
        assert len(gym.processes()) == 2
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    assert gym.processes() == {}
    manifest = json.loads((gym.folder / "a_manifest.json").read_text())
    assert (manifest["status"], manifest["counts"]["pending"]) == ("interrupted", 5)


def test_a_data_sets_own_prompt_and_repeats_are_honoured(gym: Gym) -> None:
    config = counter(gym, num_repeats=2, prompt_config="prompt.yaml")
    write(gym.folder / "data.jsonl", {"thing": "sheep", "expected": 7})
    (gym.folder / "prompt.yaml").write_text("user: count {thing}\nsystem: You count.\n")
    ran(
        gym(
            "eval",
            "run",
            "--config",
            config,
            *SCRIPTED,
            "num_repeats={counting: 2, other: 5}",
            "-o",
            "a.jsonl",
        )
    )
    (one, *_) = rows = read_rows(gym.folder / "a_materialized_inputs.jsonl")
    assert len(rows) == 4
    assert [item["content"] for item in one["responses_create_params"]["input"]] == [
        "You count.",
        "count sheep",
    ]
    assert one["prompt_config_used"] == "prompt.yaml"
    assert set(rewards(gym, "a").values()) == {1.0}


def test_a_file_that_is_given_wins_over_data_sets_and_may_name_no_other_agent(gym: Gym) -> None:
    words = ("eval", "run", "--environment", "mcqa", *SCRIPTED, "-i", "rows.jsonl", "-o", "a.jsonl")
    row = {
        "responses_create_params": {"input": "Which?\n\nA: no\nB: yes"},
        "options": [{"A": "no"}, {"B": "yes"}],
        "expected_answer": "B",
    }
    write(gym.folder / "rows.jsonl", row, {**row, "agent_ref": {"name": "other"}}, row)
    refused = gym(*words)
    assert refused.returncode == 2
    assert "task 2: agent_ref names 'other', and the only agent here is 'mcqa_simple_agent'" in refused.stderr
    write(gym.folder / "rows.jsonl", row)
    ran(gym(*words))
    assert rewards(gym, "a") == {("mcqa_simple_agent", 0, 0): 1.0}


def test_what_a_run_is_asked_for_may_be_said_by_keys_and_flags_win(gym: Gym) -> None:
    keys = {
        "environment": "reasoning", "model": "random", "limit": 4, "num_repeats_add_seed": True,
        "output_jsonl_fpath": "a.jsonl", "num_repeats": {"_default": 3, "nobody": 2},
        "disable_aggregation": True,
        "responses_create_params": {"temperature": 0.5, "max_output_tokens": 9}, "skills": {"path": "skills"},
    }  # fmt: skip
    (gym.folder / "run.yaml").write_text(yaml.safe_dump(keys))
    (gym.folder / "skills").mkdir()
    (gym.folder / "skills" / "SKILL.md").write_text("---\nname: search\n---\n")
    output = ran(gym("eval", "run", "--config", "run.yaml", "--limit", 2, "--temperature", 0))
    assert "no task is for an agent 'nobody'" in output
    rows = read_rows(gym.folder / "a_materialized_inputs.jsonl")
    assert [(row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows] == [
        (task, repeat) for task in range(2) for repeat in range(3)
    ]
    params = rows[2]["responses_create_params"]
    assert (params["temperature"], params["max_output_tokens"]) == (0, 9)
    assert json.loads(params["metadata"]["extra_body"]) == {"seed": 2}
    assert rows[0]["skills_ref"]["skills"] == [{"name": "search"}]
    assert not (gym.folder / "a_aggregate_metrics.json").exists()


def test_words_with_a_plus_are_keys_without_any_file(gym: Gym) -> None:
    ran(gym("run", "reasoning", "--model-type", "random", "+limit=2", "+output_jsonl_fpath=a.jsonl"))
    assert len(rewards(gym, "a")) == 2


def test_running_servers_are_asked_with_the_words_of_the_original(gym: Gym) -> None:
    gym.start("mcqa", *SCRIPTED)
    head = gym("env", "status", "--json").stdout
    port = json.loads(head)["servers"][0]["head_url"].rpartition(":")[2]
    row = {
        "responses_create_params": {"input": "B?"},
        "options": [{"A": "n"}, {"B": "y"}],
        "expected_answer": "B",
    }
    write(gym.folder / "rows.jsonl", row)
    ran(gym(
        "eval", "run", "--no-serve", "+agent_name=mcqa_simple_agent", "+input_jsonl_fpath=rows.jsonl",
        "+output_jsonl_fpath=a.jsonl", "+num_repeats=2", f"++head_server.port={port}",
    ))  # fmt: skip
    assert rewards(gym, "a") == {("mcqa_simple_agent", 0, 0): 1.0, ("mcqa_simple_agent", 0, 1): 1.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--environment", "mcqa"], "in env.yaml (--model-url, --model)"),
        (["--config", "nowhere.yaml", *SCRIPTED], "no configuration file 'nowhere.yaml'"),
        (
            ["--environment", "mcqa", *SCRIPTED, "--split", "test"],
            "no data set of type 'test': there is example",
        ),
        (["--environment", "mcqa", *SCRIPTED, "-a", "mcqa_agent"], "Did you mean 'mcqa_simple_agent'?"),
        (
            ["--environment", "mcqa", *SCRIPTED, "--agent-url", "http://h"],
            "agent_url can't be honoured: the configuration names every server (--agent-url)",
        ),
        (
            ["--environment", "mcqa", "--environment", "reasoning", *SCRIPTED, "--max-steps", "3"],
            "++my_agent",
        ),
        (["--environment", "mcqa", *SCRIPTED, "limitt=3"], "Did you mean 'limit'?"),
        (["--environment", "mcqa", *SCRIPTED, "limit=0"], "limit: expected a whole number from 1, got 0"),
        (
            ["--environment", "mcqa", *SCRIPTED, "--seed", "1", "--num-repeats-add-seed"],
            "leave one out (--seed",
        ),
        (
            ["--environment", "mcqa", *SCRIPTED, "--prompt-config", "p.yaml"],
            "prompt p.yaml: there is no such file",
        ),
        (["--model-type", "random", "+limit=1"], "no agent in the configuration"),
        (["mcqa", "--search-dir", "there"], "--search-dir"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(gym: Gym, words: list[str], message: str) -> None:
    result = gym("eval", "run", *words, "-o", "a.jsonl")
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(gym.folder.glob("a*")) == []


def test_a_data_set_that_can_not_be_downloaded_is_named(gym: Gym) -> None:
    source = {"type": "huggingface", "repo_id": "someone/counts"}
    config = counter(gym, source=source, jsonl_fpath="nowhere.jsonl")
    words = ("eval", "run", "--config", config, *SCRIPTED, "-o", "a.jsonl")
    result = gym(*words, HF_ENDPOINT="http://127.0.0.1:1")
    assert result.returncode == 1
    assert "counting: data set 'small': someone/counts: the hub can't be reached: " in result.stderr
    assert gym.processes() == {}


def test_a_prompt_makes_the_input_of_a_run_by_name(gym: Gym) -> None:
    (gym.folder / "prompt.yaml").write_text("user: Which is {what}?\n")
    task = {"what": "right", "options": [{"A": "no"}, {"B": "yes"}], "expected_answer": "B"}
    own = {**task, "responses_create_params": {"input": "x"}}
    write(
        gym.folder / "rows.jsonl", task, own, {**task, "what": None}, {**own, "responses_create_params": {}}
    )
    words = ("run", "mcqa", *SCRIPTED, "-i", "rows.jsonl", "--prompt-config", "prompt.yaml", "-o", "a.jsonl")
    refused = gym(*words)
    assert refused.returncode == 2
    assert "prompt prompt.yaml doesn't fit task 2: the row has an input of its own\n" in refused.stderr
    assert list(gym.folder.glob("a*")) == []
    write(gym.folder / "rows.jsonl", task)
    ran(gym(*words))
    assert set(rewards(gym, "a").values()) == {1.0}
