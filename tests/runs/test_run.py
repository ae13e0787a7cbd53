"""Listeners of a run: they hear of its rows once these are on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import StartEndpoint, read_rows

from nemo_gym.capture.settings import CaptureSettings, TokenSettings
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.runs.journal import Commit
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.run import Job, Run
from nemo_gym.runs.store import RunStore
from nemo_gym.runs.token_watch import TokenWatch

SCORER = """
from nemo_gym import Environment, ask

class Scorer(Environment):
    def tasks(self, split, seed, n):
        return ({"responses_create_params": ask(str(i)), "number": i} for i in range(6))

    def verify(self, task, response, session):
        return session.row["number"] / (session.row["number"] - 2)
"""


class Export:
    """Keeps what it hears, and what of it is on the disk then."""

    def __init__(self, output: Path, problem: Exception | None = None) -> None:
        self.output = output
        self.problem = problem
        self.scored: set[int] = set()
        self.failed: set[int] = set()
        self.stored: set[int] = set()

    async def on_commit(self, commit: Commit) -> None:
        self.scored |= {json.loads(line)["_ng_task_index"] for line in commit.rollouts}
        self.failed |= {json.loads(line)["_ng_task_index"] for line in commit.failures}
        self.stored |= {row.stamp.task_index for row in RunStore(self.output).rows()}
        assert self.scored | self.failed == self.stored
        if self.problem is not None:
            raise self.problem


async def run(folder: Path, *listeners: Export, **more: Any) -> tuple[RunReport, list[str]]:
    (folder / "scorer.py").write_text(SCORER)
    spec = EnvironmentSpec(str(folder / "scorer.py"))
    job = Job(environment=spec, model=ModelSpec("random"), output=folder / "out.jsonl", **more)
    run = Run(job, listeners=listeners)
    await run.prepare()
    return await run.collect(), run.notes


async def test_listeners_hear_of_every_row_that_is_written(tmp_path: Path) -> None:
    one, other = Export(tmp_path / "out.jsonl"), Export(tmp_path / "out.jsonl")
    report, notes = await run(tmp_path, one, other)
    assert one.scored == other.scored == {0, 1, 3, 4, 5}
    assert one.failed == other.failed == {2}
    assert report.manifest.status == "complete"
    assert notes == []


async def test_a_listener_that_raises_is_a_note_and_the_run_goes_on(tmp_path: Path) -> None:
    broken, export = (Export(tmp_path / "out.jsonl", problem) for problem in (OSError("disk full"), None))
    report, notes = await run(tmp_path, broken, export)
    assert report.manifest.status == "complete"
    assert len(read_rows(tmp_path / "out.jsonl")) == len(export.scored) == 5
    assert notes == ["warning: Export gets no more rows, OSError: disk full; the rows are in the files"]


async def test_a_run_stops_when_its_own_captured_tokens_can_t_be_retired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def on_commit(self: TokenWatch, commit: Commit) -> None:
        raise OSError("the store is gone")

    monkeypatch.setattr(TokenWatch, "on_commit", on_commit)
    tokens = TokenSettings(True, all_agents=True, dir=str(tmp_path / "tokens"))
    report, _ = await run(tmp_path, capture=CaptureSettings(tokens=tokens))
    assert report.manifest.status == "stopped"
    assert report.manifest.reason == "captured tokens can't be retired: the store is gone"
    stored = len(list(RunStore(tmp_path / "out.jsonl").rows()))
    assert stored == report.manifest.counts["scored"] + report.manifest.counts["failed"] > 0


JUDGED = """
from nemo_gym import Environment, ask

class Judged(Environment):
    asks = ("judge",)

    def tasks(self, split, seed, n):
        return ({"responses_create_params": ask(str(i))} for i in range(8))

    async def verify(self, task, response, session):
        return float(await self.models["judge"].text("say yes") == "yes")
"""


async def test_worker_processes_share_the_limit_of_a_judge(
    tmp_path: Path, start_endpoint: StartEndpoint
) -> None:
    (tmp_path / "judged.py").write_text(JUDGED)
    url = start_endpoint(delay=0.1)
    judge = ModelSpec("chat", "m", url, settings={"max_concurrent_requests": 2})
    spec = EnvironmentSpec(str(tmp_path / "judged.py"), models={"judge": judge})
    output = tmp_path / "out.jsonl"
    run = Run(Job(environment=spec, model=ModelSpec("random"), output=output, workers=2, concurrency=8))
    await run.prepare()
    report = await run.collect()
    assert report.summary.mean_reward == 1.0
    async with httpx.AsyncClient() as client:
        stats = (await client.get(f"{url}/models")).json()
    assert (stats["requests"], stats["peak"]) == (8, 2)
    assert report.manifest.identity.environment["models"]["judge"]["settings"] == judge.settings


@pytest.mark.parametrize(("limit", "part"), [(8, 4), (3, 1), (1, 1), (0, 0), (None, None)])
def test_every_process_has_its_part_of_a_limit_and_wrong_limits_stay(
    limit: int | None, part: int | None
) -> None:
    spec = ModelSpec("chat", settings={"max_concurrent_requests": limit, "extra_body": {}})
    assert spec.shared_by(2).settings == {"max_concurrent_requests": part, "extra_body": {}}
    assert ModelSpec("chat").shared_by(2) == ModelSpec("chat")
