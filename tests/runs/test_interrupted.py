"""Rollouts that a server gave up because it was being shut down: pending, and in no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from conftest import StartServer, read_rows

from nemo_gym.runs.progress import Progress
from nemo_gym.runs.result import Result
from nemo_gym.wire.rollout import Rollout, failure_of

Gym = Callable[..., CompletedProcess[str]]

GIVEN_UP = {"_ng_no_persist": True, "reward": 0.0, "response": {"output": []}}


def tasks(path: Path, troubles: list[Any]) -> Path:
    with path.open("w") as file:
        for number, trouble in enumerate(troubles):
            params = {"input": [{"role": "user", "content": f"say {number}"}]}
            row = {"responses_create_params": params, "task_id": f"{path} {number}"}
            file.write(json.dumps({**row, "trouble": {"/run": trouble}} if trouble else row) + "\n")
    return path


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("named", [{}, {"_ng_failure_class": "sandbox_error", "error": "SIGTERM"}])
def test_they_are_written_nowhere_count_as_pending_and_run_again_on_resume(
    tmp_path: Path, start_server: StartServer, gym: Gym, workers: int, named: dict[str, str]
) -> None:
    url, _ = start_server()
    given_up, skipped = json.dumps({**GIVEN_UP, **named}), '{"_ng_failure_class": "skipped"}'
    troubles = [None, f"once:{given_up}", skipped, f"once:{given_up}"]
    words = [
        *("run", "--agent-url", url, "-i", tasks(tmp_path / "tasks.jsonl", troubles), "--json"),
        *("-o", tmp_path / "out.jsonl", "--workers", workers),
    ]

    ended = gym(*words)

    assert ended.returncode == 1, ended.stderr
    assert "rollouts given up by a server that was being shut down: 2" in ended.stderr
    assert "--resume" in ended.stderr
    report = json.loads(ended.stdout)
    assert report["status"] == "stopped"
    summary = report["summary"]
    assert (summary["requested"], summary["scored"], summary["pending"]) == (4, 1, 2)
    assert summary["failed"] == {"skipped": 1}
    assert [row["_ng_task_index"] for row in read_rows(tmp_path / "out.jsonl")] == [0]
    assert [row["_ng_task_index"] for row in read_rows(tmp_path / "out_failures.jsonl")] == [2]

    again = gym(*words, "--resume")

    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout)["summary"]
    assert (summary["scored"], summary["failed"], summary["pending"]) == (3, {"skipped": 1}, 0)
    rows = {row["_ng_task_index"]: row for row in read_rows(tmp_path / "out.jsonl")}
    assert rows.keys() == {0, 1, 3}
    assert not any("_ng_attempt_index" in row for row in rows.values())


@pytest.mark.parametrize(
    "named", [{}, {"_ng_failure_class": "timeout_exceeded", "_ng_failure_terminal": True}]
)
def test_a_result_that_says_so_passes_it_on(named: dict[str, Any]) -> None:
    failure = failure_of({**GIVEN_UP, **named})
    assert failure is not None

    row = Rollout.failed({"_ng_task_index": 0, "_ng_rollout_index": 0}, failure).to_row()

    assert row["_ng_no_persist"] is True
    again = failure_of(row)
    assert again is not None
    assert (again.pending, str(again)) == (True, str(failure))


def test_a_retry_that_was_given_up_leaves_the_failure_before_it() -> None:
    progress = Progress()
    progress.requested = 2
    progress.failed_class = {(0, 0): "model_error"}

    for task in (0, 1):
        progress.add(Result(task, 0, b"", None, "interrupted", "", 0, 1.0, pending=True))

    assert (progress.scored, progress.failed, progress.pending) == (0, 1, 1)
    assert progress.interrupted == 2
