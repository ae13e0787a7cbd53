"""A run through servers has the metrics that the environments add, in its file and on the screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.started import Gym

GRADER = (Path(__file__).parents[1] / "compat" / "servers" / "grader" / "app.py").read_text()
SCRIPT = r"""
def answer(params):
    return r"It is \boxed{B}." if "option" in str(params["input"]).lower() else "B"
"""
SCRIPTED = ("--model-type", "scripted", "-m", "script.py:answer")


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    program.script(SCRIPT)
    yield program
    program.clean()


def grader(gym: Gym) -> str:
    """A server that somebody wrote for the original package, with an agent."""
    config = Path(gym.program("grader", GRADER))
    agent = {
        "entrypoint": "app.py",
        "resources_server": {"type": "resources_servers", "name": "grader"},
        "model_server": {"type": "responses_api_models", "name": "policy_model"},
    }
    tree = json.loads(config.read_text()) | {"grading": {"responses_api_agents": {"simple_agent": agent}}}
    config.write_text(json.dumps(tree))
    rows = [
        {"responses_create_params": {"input": "A or B?"}, "expected_answer": answer, "subject": subject}
        for answer, subject in (("A", "art"), ("B", "art"), ("B", "biology"))
    ]
    (gym.folder / "tasks.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(config)


def metrics(gym: Gym, name: str) -> dict[str, dict[str, Any]]:
    agents = json.loads((gym.folder / f"{name}_aggregate_metrics.json").read_text())
    return {agent["agent_ref"]["name"]: agent for agent in agents}


def test_an_environment_has_the_same_metrics_here_and_through_servers(gym: Gym) -> None:
    words = (*SCRIPTED, "--split", "example", "--num-repeats", 2)
    here = gym("eval", "run", "--environment", "mcqa", *words, "-o", "a.jsonl")
    there = gym(
        "eval", "run", "--environment", "mcqa", "--environment", "math_with_judge", *words, "-o", "b.jsonl"
    )
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert "servers started" in there.stderr
    assert "warning" not in there.stderr
    own, served = metrics(gym, "a"), metrics(gym, "b")
    assert served.keys() == {"mcqa_simple_agent", "math_with_judge_simple_agent"}
    one, other = own["mcqa_simple_agent"], served["mcqa_simple_agent"]
    assert {key: value for key, value in one["agent_metrics"].items() if "coverage" not in key} == {
        key: value for key, value in other["agent_metrics"].items() if "coverage" not in key
    }
    assert one["key_metrics"] == other["key_metrics"]
    assert one["group_level_metrics"] == other["group_level_metrics"]
    assert "majority@2/accuracy" in other["key_metrics"]
    assert "pass@2/symbolic_accuracy" in served["math_with_judge_simple_agent"]["key_metrics"]
    for text in (here.stdout, there.stdout):
        assert "key metrics of mcqa_simple_agent" in text
        assert "majority@2 accuracy" in text
        assert "avg-of" not in text  # the mean reward says it already; the metrics file has it
    assert "pass@1[avg-of-2]/accuracy" in one["key_metrics"]


@pytest.mark.parametrize("running", [False, True], ids=["started for the run", "running already"])
def test_an_existing_servers_own_metrics_are_merged(gym: Gym, running: bool) -> None:
    selectors: list[object] = ["--config", grader(gym), *SCRIPTED]
    if running:
        gym.start(*selectors)
        head = gym.servers()["grading"]["head_url"]
        selectors = ["--no-serve", "--head-url", head, "--agent", "grading"]

    result = gym(
        "eval", "run", *selectors, "-i", "tasks.jsonl", "-o", "a.jsonl", "--num-repeats", 2, "--json"
    )

    assert result.returncode == 0, result.stderr
    figures = metrics(gym, "a")["grading"]
    assert figures["agent_metrics"]["art/pass@2/accuracy"] == 50.0
    assert figures["agent_metrics"]["coverage/requested"] == 6
    assert [group["longest"] for group in figures["group_level_metrics"]] == [1, 1, 1]
    assert figures["key_metrics"].keys() == {"mean/reward", "pass@2/accuracy", "majority@2/accuracy"}
    assert json.loads(result.stdout)["key_metrics"] == {"grading": figures["key_metrics"]}
