"""The real `nel eval run` 0.3 on our tasks: the same pass@1 on every path as our own evaluation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

import nemo_gym as gym
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.siblings.evaluator import plugin
from nemo_gym.siblings.evaluator.results import import_results
from nemo_gym.wire.items import user
from tests.serving.loopback import served
from tests.siblings.test_evaluator_tasks import Proxy, Tools, mcqa_rows

BIN = Path(sys.executable).parent
SUPPORT = Path(__file__).parents[2] / "support"
PLUGIN = Path(plugin.__file__)
REPEATS = 2
QUIET = {"NEMO_TELEMETRY_ENABLED": "false", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A model that says what it is asked to: `say X for question N` is answered `X for question N`."""
    with program([sys.executable, str(SUPPORT / "endpoint.py")]) as line:
        yield f"http://127.0.0.1:{int(line)}/v1"


@pytest.fixture
def tasks_file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in mcqa_rows(6)))
    return path


@contextmanager
def program(command: list[str], until: str = "") -> Iterator[str]:
    """A program that serves until the end of the block; the line that says so."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **QUIET})
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        while line and until not in line:
            line = process.stdout.readline()
        yield line.strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def evaluate(folder: Path, endpoint: str, benchmark: dict[str, Any], **services: Any) -> tuple[Path, float]:
    """Run `nel eval run`; the folder of the results, and the pass@1 that it reports."""
    model = {
        "type": "api",
        "url": f"{endpoint}/chat/completions",
        "protocol": "chat_completions",
        "model": "m",
    }
    solver = {"type": "simple", "service": "model"}
    config = {
        "services": {"model": model, **services},
        "benchmarks": [{"solver": solver, "repeats": REPEATS, **benchmark}],
        "output": {"dir": str(folder)},
    }
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [str(BIN / "nel"), "eval", "run", str(folder / "config.yaml")],
        env={**os.environ, **QUIET, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (bundle,) = folder.rglob("eval-*.json")
    scores = json.loads(bundle.read_text())["benchmark"]["scores"]
    return bundle.parent, scores["pass@1"]["value"]


async def own(endpoint: str, tasks_file: Path) -> dict[tuple[int, int], float]:
    """The rewards of our own evaluation."""
    model = ModelSpec("chat", "m", endpoint)
    rollouts = gym.collect("mcqa", model, tasks_file, num_repeats=REPEATS)
    return {(one.task_index, one.rollout_index): float(one.reward or 0.0) async for one in rollouts}


def rewards_of(folder: Path) -> dict[tuple[int, int], float]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    return {(row["problem_idx"], row["repeat"]): row["reward"] for row in map(json.loads, lines)}


async def test_the_plugin_gives_our_rewards(endpoint: str, tasks_file: Path, tmp_path: Path) -> None:
    params = {"environment": "mcqa", "input": str(tasks_file)}
    benchmark = {"name": f"{PLUGIN}:nemo_gym", "params": params}
    folder, score = evaluate(tmp_path / "out", endpoint, benchmark)
    rewards = await own(endpoint, tasks_file)
    assert rewards_of(folder) == rewards
    assert score == sum(rewards.values()) / len(rewards) == 0.5


async def test_a_built_in_environment_is_a_benchmark_by_its_name(endpoint: str, tmp_path: Path) -> None:
    benchmark = {"name": f"{PLUGIN}:gym-mcqa", "params": {"split": "example", "limit": 3}}
    folder, _ = evaluate(tmp_path / "out", endpoint, benchmark)
    rollouts = gym.collect(
        "mcqa", ModelSpec("chat", "m", endpoint), split="example", limit=3, num_repeats=REPEATS
    )
    own_rewards = {(one.task_index, one.rollout_index): one.reward async for one in rollouts}
    assert rewards_of(folder) == own_rewards


async def test_the_gateway_gives_our_rewards(endpoint: str, tasks_file: Path, tmp_path: Path) -> None:
    command = [str(BIN / "gym"), "serve", "evaluator", "mcqa", "-i", str(tasks_file), "--port", "0"]
    with program(command, until="ready") as line:
        folder, score = evaluate(tmp_path / "out", endpoint, {"name": line.rpartition(" ")[2]})
    rewards = await own(endpoint, tasks_file)
    assert rewards_of(folder) == rewards
    assert score == 0.5


async def test_imported_results_have_the_reported_score(
    endpoint: str, tasks_file: Path, tmp_path: Path
) -> None:
    params = {"environment": "mcqa", "input": str(tasks_file)}
    evaluate(tmp_path / "out", endpoint, {"name": f"{PLUGIN}:nemo_gym", "params": params})
    imported = await import_results(tmp_path / "out", tmp_path / "run.jsonl")
    summary = imported.report.summary
    assert imported.report.manifest.environment_name == "mcqa"
    assert summary.pass_at[1] / 100 == summary.mean_reward == imported.reported["pass@1"] == 0.5
    assert (summary.requested, summary.scored) == (6 * REPEATS, 6 * REPEATS)


def delegated(folder: Path, endpoint: str, environment: str, params: dict[str, Any]) -> tuple[Path, float]:
    """An evaluation whose rollouts our agent makes, with a server of ours."""
    command = [str(BIN / "gym"), "env", "start", environment, "--model-type", "chat", "-m", "m"]
    with program([*command, "--model-url", endpoint, "--port", "0"], until=" head ") as line:
        head = next(word for word in line.split() if word.startswith("http"))
        solver = {"type": "gym_delegation", "service": "model", "gym_service": "gym", "gym_agent": "any"}
        benchmark = {
            "name": f"{PLUGIN}:nemo_gym",
            "params": {"environment": environment, **params},
            "solver": {**solver, "trust_reward": True},
        }
        return evaluate(folder, endpoint, benchmark, gym={"type": "gym", "url": head})


async def test_a_delegated_rollout_has_the_reward_of_our_agent(
    endpoint: str, tasks_file: Path, tmp_path: Path
) -> None:
    folder, score = delegated(tmp_path / "out", endpoint, "mcqa", {"input": str(tasks_file)})
    assert rewards_of(folder) == await own(endpoint, tasks_file)
    assert score == 0.5


async def test_tools_are_called_in_a_delegated_rollout(tmp_path: Path) -> None:
    """The policy of the token server looks up every value and hands them in."""
    with program([sys.executable, str(SUPPORT / "token_server.py")]) as line:
        policy = f"http://127.0.0.1:{int(line)}/v1"
        params = {"split": "example", "limit": 2}
        folder, score = delegated(tmp_path / "out", policy, "example_multi_step", params)
        model = ModelSpec("chat", "m", policy)
        rollouts = gym.collect("example_multi_step", model, **params, num_repeats=REPEATS)
        rewards = {(one.task_index, one.rollout_index): one.reward async for one in rollouts}
    assert rewards_of(folder) == rewards
    assert score == 1.0
    imported = await import_results(tmp_path / "out", tmp_path / "run.jsonl")
    assert imported.report.summary.mean_reward == 1.0


@asynccontextmanager
async def adapter_proxy(upstream: str, max_turns: int) -> AsyncGenerator[str]:
    """Evaluator's own proxy, with a budget of model calls for each session."""
    start = import_module("nemo_evaluator.adapters.proxy").start_adapter_proxy
    counter = {"name": "turn_counter", "config": {"max_turns": max_turns}}
    handle = start(upstream_url=upstream, model_id="m", port=0, interceptor_specs=[counter])
    try:
        yield handle.url
    finally:
        await handle.async_stop()


async def test_a_rollout_through_the_adapter_proxy_ends_with_its_budget() -> None:
    """The model behind the proxy calls a tool for ever."""
    model = Proxy(budget=1000)
    rows: list[Any] = [{"responses_create_params": {"input": [user("hi")]}} for _ in range(3)]
    async with served(model.app) as url, adapter_proxy(f"{url}/s/0", max_turns=3) as proxy:
        spec = ModelSpec("evaluator_proxy", "m", proxy)
        rollouts = [one async for one in gym.collect(Tools(), spec, rows)]
    assert [(one.outcome, one.reward) for one in rollouts] == [("session_budget_exhausted", 1.0)] * 3
    assert model.calls == {"0": 9}  # three sessions of three calls; what the proxy refused never came here


async def test_a_session_of_the_proxy_is_kept_and_models_are_not_listed() -> None:
    model = Proxy(budget=1000)
    async with (
        served(model.app) as url,
        adapter_proxy(f"{url}/s/0", max_turns=1) as proxy,
        endpoint_model("chat", [f"{proxy}/s/abc123"], "m") as client,
    ):
        await client.check()  # the proxy answers GET /models with 405
        first, second = [await client.responses({"input": "hi"}) for _ in range(2)]
    assert len(first.function_calls) == 1
    assert second.data["incomplete_details"]["detail"] == "session_budget_exhausted"
