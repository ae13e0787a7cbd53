"""`examples/judge.py` wherever environments run: its judge is a real HTTP server in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import StartEndpoint, read_rows

import nemo_gym
from nemo_gym.environments.discovery import find_environment
from nemo_gym.models.baselines import RandomModel
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.run import Job, Run
from nemo_gym.transport import http
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import GymError, UsageError
from tests.support.started import Gym

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "judge.py"
Command = Callable[..., subprocess.CompletedProcess[str]]


def test_it_has_at_most_40_lines() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 40


def test_it_runs_in_worker_processes_and_its_judge_is_captured(
    gym: Command, start_endpoint: StartEndpoint, tmp_path: Path
) -> None:
    policy, judge = start_endpoint(), start_endpoint(answer="Yes.")
    words = ("--model-url", policy, "--model", "poet", "--judge-model-url", judge, "--judge-model", "critic")
    more = ("--workers", 2, "--capture-dir", tmp_path / "calls", "-o", "out.jsonl")
    result = gym("run", EXAMPLE, *words, *more, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    report = gym("runs", "show", "out.jsonl", cwd=tmp_path)
    for output in (result.stdout, report.stdout):
        assert re.search(r"asked model judge +│ +4 calls, 20 tokens in, 8 out", output), output
    rows = read_rows(tmp_path / "out.jsonl")
    assert [row["reward"] for row in rows] == [1.0] * 4
    for row in rows:
        (usage,) = row["ng_asked_models"].values()
        assert (usage["calls"], usage["failed"]) == (1, 0)
        assert (usage["input_tokens"], usage["output_tokens"]) == (5, 2)
        assert usage["seconds"] > 0
        assert row["response"]["usage"]["input_tokens"] == 5
        capture = row["ng_model_call_capture"]
        assert (capture["metrics"]["num_calls"], capture["calls"][0]["model"]) == (1, "poet")
        (asked,) = capture["asked_calls"]
        assert (asked["asked_as"], asked["model"], asked["status_code"]) == ("judge", "critic", 200)
        assert "Is this a poem" in json.dumps(asked["request"])
    manifest = json.loads((tmp_path / "out_manifest.json").read_text())
    assert manifest["identity"]["environment"]["models"]["judge"]["url"] == judge

    result = gym("eval", "reverify", "--rollouts", "out.jsonl", "-o", "again.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    again = read_rows(tmp_path / "again.jsonl")
    assert [(row["reward"], row["ng_asked_models"]["judge"]["calls"]) for row in again] == [(1.0, 1)] * 4


async def test_gym_collect_takes_settings_or_a_model(start_endpoint: StartEndpoint) -> None:
    settings = {"type": "responses", "url": start_endpoint(answer="yes"), "model": "critic"}
    rollouts = [
        rollout
        async for rollout in nemo_gym.collect(str(EXAMPLE), "random", limit=2, models={"judge": settings})
    ]
    assert [rollout.reward for rollout in rollouts] == [1.0, 1.0]
    assert rollouts[0].details["verdict"] == "yes"


@pytest.mark.parametrize("answer", ["Yes.", ""], ids=["a real judge", "its stand-in"])
def test_it_keeps_every_promise_of_an_environment(
    gym: Command, start_endpoint: StartEndpoint, tmp_path: Path, answer: str
) -> None:
    url = start_endpoint(answer=answer) if answer else ""
    words = ("--ask", f"judge.url={url}", "--ask", "judge.model=critic") if answer else ()
    result = gym("env", "check", EXAMPLE, *words, "--json", cwd=tmp_path)
    failed = {one["name"] for one in json.loads(result.stdout)["results"] if not one["passed"]}
    # A judge that says yes to everything pays for prose too.
    assert failed == ({"golden"} if answer else set())


def test_it_is_served(start_endpoint: StartEndpoint, tmp_path: Path) -> None:
    gym = Gym(tmp_path)
    script = gym.script("answer = lambda params: 'owls'")
    policy = {"responses_api_models": {"scripted": {"entrypoint": "app.py", "name": script}}}
    (tmp_path / "run.yaml").write_text(json.dumps({"environment": str(EXAMPLE), "policy_model": policy}))
    row: dict[str, Any] = {"responses_create_params": {"input": "A poem."}, "topic": "owls"}
    row["agent_ref"] = {"type": "responses_api_agents", "name": "judge_simple_agent"}
    (tmp_path / "tasks.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    judge = start_endpoint(answer="yes")
    try:
        gym.start("--config", "run.yaml", "--ask", f"judge.url={judge}", "--ask", "judge.model=critic")
        head = gym.servers()["judge"]["head_url"]
        result = gym("run", "--no-serve", "--head-url", head, "-i", "tasks.jsonl", "-o", "out.jsonl")
        assert result.returncode == 0, result.stderr
    finally:
        gym("env", "stop")
        gym.clean()
    rows = read_rows(tmp_path / "out.jsonl")
    assert [row["reward"] for row in rows] == [1.0] * 2
    assert {row["ng_asked_models"]["judge"]["input_tokens"] for row in rows} == {5}


@pytest.mark.parametrize("source", ["settings", "reference"])
def test_a_configuration_supplies_its_judge(
    gym: Command, start_endpoint: StartEndpoint, tmp_path: Path, source: str
) -> None:
    critic = {"url": start_endpoint(answer="yes"), "model": "critic"}
    asked = {
        "settings": {"judge": {"type": "chat", **critic}},
        "reference": {"judge_model_server": {"type": "responses_api_models", "name": "critic"}},
    }
    tree = {
        "environment": str(EXAMPLE),
        "policy_model": {"responses_api_models": {"random": {"entrypoint": "app.py"}}},
        "critic": {"responses_api_models": {"chat": {"entrypoint": "app.py", **critic}}},
        "judge": {"resources_servers": {"judge": asked[source]}},
    }
    (tmp_path / "run.yaml").write_text(json.dumps(tree))
    result = gym("run", "--config", "run.yaml", "--limit", 2, "-o", "out.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [row["reward"] for row in read_rows(tmp_path / "out.jsonl")] == [1.0] * 2


@pytest.mark.parametrize(("answer", "kind"), [("Yes.", "full_reward"), ("No, it is prose.", "zero_reward")])
def test_a_rollout_becomes_a_golden_case_that_the_check_plays_without_a_judge(
    gym: Command, start_endpoint: StartEndpoint, tmp_path: Path, answer: str, kind: str
) -> None:
    poems = tmp_path / "poems.py"
    poems.write_text(EXAMPLE.read_text())
    judge = ("--judge-model-url", start_endpoint(answer=answer), "--judge-model", "critic")
    result = gym(
        "run", poems, "--model-type", "random", *judge, "--limit", 1, "-o", "out.jsonl", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    (row,) = read_rows(tmp_path / "out.jsonl")
    assert row["ng_asked_models"]["judge"]["answers"] == [answer]

    result = gym("env", "golden", poems, "--run", "out.jsonl", "--case", "mine", cwd=tmp_path)
    assert f"wrote 'mine' ({kind}) to " in result.stdout, result.stderr
    (case,) = read_rows(tmp_path / "golden.jsonl")
    assert case["models"] == {"judge": answer}
    assert "ng_asked_models" not in case["task"]

    result = gym("env", "check", poems, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "4 cases" in result.stdout

    (tmp_path / "golden.jsonl").write_text(json.dumps({**case, "models": {"judge": "Hard to say"}}))
    result = gym("env", "check", poems, "--json", cwd=tmp_path)
    assert (result.returncode == 0) == (kind == "zero_reward")


async def test_a_judge_that_dies_fails_its_rollouts_and_resume_finishes_them(
    start_endpoint: StartEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "Retry", partial(Retry, attempts=2, base=0.01))
    url = start_endpoint(answer="yes", dies_after=3)
    assert len((await run_with(url, tmp_path)).paths.rollouts.read_text().splitlines()) == 3
    failures = read_rows(tmp_path / "out_failures.jsonl")
    assert [row["_ng_failure_class"] for row in failures] == ["judge_failed"] * 5
    assert [row for row in failures if "reward" in row] == []
    assert failures[0]["response"]["output"]
    assert failures[0]["ng_asked_models"]["judge"]["failed"] == 1

    with pytest.raises(GymError, match=r"127\.0\.0\.1"):
        await run_with(url, tmp_path, resume=True)

    start_endpoint(answer="yes", port=urlsplit(url).port)
    report = await run_with(url, tmp_path, resume=True)
    assert report.manifest.counts == {"scored": 8, "failed": 0, "pending": 0}
    assert [row["reward"] for row in read_rows(tmp_path / "out.jsonl")] == [1.0] * 8


MISSING = "environment poems asks the model 'judge', which nobody supplied"


async def test_a_run_without_a_judge_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=MISSING):
        await run_with("", tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_gym_collect_without_a_judge_says_which_argument_is_missing() -> None:
    with pytest.raises(UsageError, match=rf"{MISSING}: pass collect\(..., models={{'judge': ...}}\)"):
        await anext(nemo_gym.collect(str(EXAMPLE), "random"))
    with pytest.raises(UsageError, match=r"models\['judge'\]: expected a Model or settings, got 3"):
        await anext(nemo_gym.collect(str(EXAMPLE), "random", models={"judge": 3}))  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="models can't be honoured"):
        await anext(nemo_gym.collect("http://127.0.0.1:9", "random", models={"judge": RandomModel()}))


async def test_an_environment_object_keeps_no_model_of_an_earlier_call() -> None:
    poems = find_environment(str(EXAMPLE))()
    judge = ScriptedModel(lambda _: "yes")
    rollouts = [one async for one in nemo_gym.collect(poems, "random", limit=1, models={"judge": judge})]
    assert [rollout.reward for rollout in rollouts] == [1.0]
    with pytest.raises(UsageError, match=MISSING):
        await anext(nemo_gym.collect(poems, "random"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), f"gym: {MISSING}: pass --ask judge.url=URL --ask judge.model=NAME, or set judge: "),
        (("--ask", "jugde.url=x"), "gym: environment poems asks no model 'jugde'. Did you mean 'judge'?"),
        (("--ask", "judge=x"), "gym: --ask judge: expected NAME.KEY=VALUE, for instance judge.url=URL"),
        (("--judge-model-url", "http://127.0.0.1:9/v1"), "gym: judge: model type 'chat' needs judge.model"),
        (
            ("--judge-model", "m", "--environment-url", "http://127.0.0.1:9"),
            "gym: models for judge can't be supplied: the environment at the URL brings its own models",
        ),
    ],
)
def test_a_judge_that_is_missing_or_wrong_is_one_line(
    gym: Command, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    result = gym("run", EXAMPLE, "--model-type", "random", *words, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(problem)
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


async def run_with(url: str, folder: Path, *, resume: bool = False) -> RunReport:
    models = {"judge": ModelSpec("chat", "critic", url)} if url else {}
    job = Job(
        environment=EnvironmentSpec(str(EXAMPLE), models=models),
        model=ModelSpec("random"),
        output=folder / "out.jsonl",
        num_repeats=2,
        concurrency=1,
        resume=resume,
    )
    run = Run(job)
    await run.prepare()
    return await run.collect()
