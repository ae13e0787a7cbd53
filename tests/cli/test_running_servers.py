"""`gym run` against servers in other processes, which die in the middle of it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import StartServer, read_rows

GymCommand = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT = """
def answer(params):
    if params["input"][-1]["type"] == "function_call_output":
        return "done"
    return [{"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}]
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    (tmp_path / "script.py").write_text(SCRIPT)
    return f"{tmp_path / 'script.py'}:answer"


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    base = {"responses_create_params": {"input": [{"role": "user", "content": "hi"}]}}
    lines = (json.dumps({**base, "task_id": str(number), **row}) for number, row in enumerate(rows))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def classes(output: Path) -> Counter[str]:
    failures = read_rows(output.with_name(f"{output.stem}_failures.jsonl"))
    return Counter(row["_ng_failure_class"] for row in failures)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_environment_at_a_url_is_acted_in(
    start_server: StartServer, gym: GymCommand, tmp_path: Path, script: str, workers: int
) -> None:
    url, _ = start_server()
    rows, output = write_rows(tmp_path / "rows.jsonl", *[{}] * 20), tmp_path / "out.jsonl"
    model = ("--model-type", "scripted", "-m", script)

    result = gym("run", "--environment-url", url, "-i", rows, "-o", output, *model, "--workers", workers)

    assert result.returncode == 0, result.stderr
    lines = read_rows(output)
    assert [line["reward"] for line in lines] == [1.0] * 20
    assert {tuple(line["calls"]) for line in lines} == {("add",)}
    manifest = json.loads((tmp_path / "out_manifest.json").read_text())
    assert manifest["identity"]["environment"] == {"ref": "", "settings": {}, "url": url}


def test_an_environment_server_killed_in_the_middle_costs_typed_failures_and_the_run_ends(
    start_server: StartServer, gym: GymCommand, tmp_path: Path, script: str
) -> None:
    url, _ = start_server()
    rows = write_rows(tmp_path / "rows.jsonl", *[{}] * 10, {"trouble": {"/add": "die"}}, *[{}] * 30)
    output = tmp_path / "out.jsonl"
    model = ("--model-type", "scripted", "-m", script, "--concurrency", 4)

    result = gym("run", "--environment-url", url, "-i", rows, "-o", output, *model, timeout=200)

    assert result.returncode == 0, result.stderr
    scored = read_rows(output)
    assert len(scored) >= 7
    assert classes(output) == {"server_unreachable": 41 - len(scored)}


def test_rows_go_to_the_agents_that_they_name_and_a_dead_one_fails_its_own_only(
    start_server: StartServer, gym: GymCommand, tmp_path: Path
) -> None:
    urls = [start_server()[0] for _ in range(2)]
    config = {
        name: {"responses_api_agents": {"any": {"host": "127.0.0.1", "port": int(url.rpartition(":")[2])}}}
        for name, url in zip(("good", "bad"), urls, strict=True)
    }
    head, _ = start_server(head=json.dumps({"/global_config_dict_yaml": json.dumps(config)}))
    good, bad = {"agent_ref": {"name": "good"}}, {"agent_ref": {"name": "bad"}, "trouble": {"/run": "die"}}
    rows = write_rows(tmp_path / "rows.jsonl", *[good, bad] * 5, {})
    output = tmp_path / "out.jsonl"

    command = ("eval", "run", "--no-serve", "--head-url", head, "--agent", "good", "-i", rows, "-o", output)
    result = gym(*command, "--concurrency", 8, timeout=200)

    assert result.returncode == 0, result.stderr
    assert Counter(line["agent_ref"]["name"] for line in read_rows(output)) == {"good": 6}
    assert classes(output) == {"server_unreachable": 5}
    identity = json.loads((tmp_path / "out_manifest.json").read_text())["identity"]
    assert identity["agent"] == {"name": "remote_run", "arguments": {"head_url": head, "agent": "good"}}
    assert identity["model"]["type"] == "none"


def test_one_agent_server_gets_every_row(start_server: StartServer, gym: GymCommand, tmp_path: Path) -> None:
    url, _ = start_server()
    rows = write_rows(tmp_path / "rows.jsonl", {}, {"trouble": {"/run": "500"}}, {"agent_ref": {"name": "x"}})
    output = tmp_path / "out.jsonl"

    result = gym("run", "--agent-url", url, "--server-token", "s3cret", "-i", rows, "-o", output)

    assert result.returncode == 0, result.stderr
    assert len(read_rows(output)) == 2
    (failure,) = read_rows(tmp_path / "out_failures.jsonl")
    assert (failure["_ng_failure_class"], failure["_ng_failure_http_status"]) == ("run_error", 500)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path != rows)
    assert b"s3cret" not in written + result.stdout.encode() + result.stderr.encode()


def test_where_nothing_is_scored_the_first_failure_is_told(gym: GymCommand, tmp_path: Path) -> None:
    task = {"responses_create_params": {"input": "2 + 3?"}, "options": [{"A": "5"}], "expected_answer": "A"}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    (tmp_path / "model.py").write_text("def answer(params):\n    raise RuntimeError('no luck')\n")

    model = ("--model-type", "scripted", "-m", "model.py:answer")
    process = gym("run", "mcqa", *model, "-i", "tasks.jsonl", "-o", "out.jsonl", cwd=tmp_path)

    assert process.returncode == 1
    problem = "gym: nothing was scored; the first failure was run_error: RuntimeError: no luck"
    assert process.stderr.splitlines()[-1].startswith(problem)


def test_where_some_rollouts_failed_the_cause_and_the_next_command_are_said(
    gym: GymCommand, tmp_path: Path
) -> None:
    (tmp_path / "half.py").write_text(
        "from nemo_gym import Environment, ask\n\n"
        "class Half(Environment):\n"
        "    def tasks(self, split, seed, n):\n"
        "        return [{'responses_create_params': ask('a'), 'k': k} for k in range(4)]\n\n"
        "    def verify(self, task, response, session):\n"
        "        return [1.0, 0.0][session.row['k']]\n"
    )
    command = ("run", "half.py", "--model-type", "random", "-o", "out.jsonl")
    process = gym(*command, cwd=tmp_path)

    cause = f"verifier_error: verify raised IndexError: list index out of range ({tmp_path}/half.py:8)"
    mending = "`gym eval reverify --rollouts out.jsonl -o out.jsonl --failed --append` scores them"
    expected = f"gym: 2 of 4 rollouts failed, the first by {cause}; once verify() is mended, {mending}"
    assert (process.returncode, process.stderr.splitlines()[-1]) == (0, expected)


def test_a_row_for_an_agent_that_is_not_there_is_a_mistake_and_nothing_is_written(
    start_server: StartServer, gym: GymCommand, tmp_path: Path
) -> None:
    config = {"one": {"responses_api_agents": {"any": {"host": "127.0.0.1", "port": 1}}}}
    head, _ = start_server(head=json.dumps({"/global_config_dict_yaml": json.dumps(config)}))
    rows = write_rows(
        tmp_path / "rows.jsonl", {"agent_ref": {"name": "one"}}, {"agent_ref": {"name": "onee"}}
    )

    result = gym("eval", "run", "--no-serve", "--head-url", head, "-i", rows, "-o", tmp_path / "out.jsonl")

    assert result.returncode == 2
    assert result.stderr.strip() == f"gym: task 2: {head} has no agent 'onee'. Did you mean 'one'?"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "which environment?"),
        ("--agent-url http://h --agent remote_agent", "which environment?"),
        ("--agent-url http://h --model-url http://m", "its own model"),
        ("--no-serve --environment-url http://h", "its own environment"),
        ("--no-serve --agent-url http://h", "leave one of them out (--no-serve, --agent-url)"),
        ("--environment-url ftp://h", "resources server URL 'ftp://h'"),
        ("--environment-url http://127.0.0.1:1", "no resources server at http://127.0.0.1:1"),
        ("--agent-url http://127.0.0.1:1", "no agent server at http://127.0.0.1:1"),
        ("--no-serve --head-url http://127.0.0.1:1", "are the servers running"),
        ("mcqa --agent-url http://h --max-steps 3", "takes no max_steps"),
    ],
)
def test_a_mistake_is_one_line(gym: GymCommand, tmp_path: Path, words: str, message: str) -> None:
    result = gym("run", *words.split(), cwd=tmp_path)

    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_running_servers_need_a_task_file(start_server: StartServer, gym: GymCommand, tmp_path: Path) -> None:
    result = gym("run", "--agent-url", start_server()[0], cwd=tmp_path)

    assert result.returncode == 2
    assert "give an input file (--input)" in result.stderr
