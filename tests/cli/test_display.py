"""How a run looks: each figure once, in plain words, and nothing raw on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.cli.display import (
    asked_rows,
    own_rows,
    print_report,
    status_line,
    summary_rows,
    tool_rows,
    warnings,
)
from nemo_gym.runs.manifest import Identity, Manifest
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.progress import Progress
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.result import Result
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale


def summary(rewards: list[list[float]], scale: RewardScale = UNKNOWN_SCALE, **columns: Any) -> RunSummary:
    metrics = MetricsAccumulator(scale=scale)
    for task, values in enumerate(rewards):
        for repeat, reward in enumerate(values):
            row = {"_ng_task_index": task, "_ng_rollout_index": repeat, "agent_ref": {"name": "a"}}
            metrics.add({**row, "reward": reward, **columns})
            metrics.plan(row)
    return metrics.summary()


def report(summaries: RunSummary, environment: str = "mcqa", **metrics: Any) -> RunReport:
    identity = Identity({"ref": environment}, {"type": "chat", "name": "qwen"}, {"name": "a"}, {}, {})
    manifest = Manifest(identity, summaries.requested, "1", 0.0, "complete")
    return RunReport(RunPaths.of(Path("x.jsonl")), manifest, summaries, {"a": metrics}, frozenset({"number"}))


def test_of_rewards_of_0_and_1_every_figure_is_there_once() -> None:
    rows = dict(summary_rows(summary([[1, 0], [0, 0], [1, 1], [0, 0], [1, 0], [0, 0]])))
    assert rows["tasks"] == "6"
    assert rows["mean reward"].startswith("0.333 (95 % CI ")
    assert rows["pass@2"] == "50.0 % of tasks"
    assert [name for name in rows if "@" in name] == ["pass@2"], "pass@1 is the mean, best@2 is pass@2"


@pytest.mark.parametrize("rewards", [[0.98, 0.0], [0.0, 0.98]])
def test_of_other_rewards_solved_and_best_stand_side_by_side_whatever_the_order(rewards: list[float]) -> None:
    rows = dict(summary_rows(summary([rewards] * 5)))
    assert rows["pass@2 (reward from 1)"] == "0.0 % of tasks"
    assert rows["best@2"] == "0.980"


def test_tasks_with_fewer_rollouts_or_without_a_score_are_said() -> None:
    summaries = summary([[1, 1], [0]])
    rows = dict(summary_rows(summaries))
    assert rows["pass@2"] == "50.0 % of tasks (1 with fewer rollouts)"
    metrics = MetricsAccumulator()
    metrics.plan({"_ng_task_index": 5, "_ng_rollout_index": 0})
    assert dict(summary_rows(metrics.summary()))["tasks"] == "1 (0 with a score)"


def test_key_metrics_say_nothing_that_the_table_says() -> None:
    noise = {"mean/reward": 0.5, "mean/input_tokens": 3, "pass@8/no_answer": 59.259, "mean/number": 4}
    noise |= {"pass@1[avg-of-8]/accuracy": 50.0, "mean/format": 1.0}
    own = {"mean/reward_components/format": 1.0, "mean/length": 12.0, "majority@8/accuracy": 62.5}
    ((head, *rows),) = own_rows(report(summary([[1.0]]), "mcqa", **noise, **own))
    assert head == ("key metrics of a", "")
    assert rows == [
        ("  mean of reward part format", "1"),
        ("  mean length", "12"),
        ("  majority@8 accuracy", "62.5 %"),
    ]


def test_a_tool_that_always_fails_is_a_warning_and_one_that_sometimes_does_is_not() -> None:
    tools = {
        "broken": {"calls": 2, "errors": 2, "error": "KeyError"},
        "fine": {"calls": 3, "errors": 1, "error": "once"},
        "(no such tool)": {"calls": 1, "errors": 1, "error": "x"},
    }
    summaries = summary([[0.0], [0.0]], ng_tool_calls=tools)
    assert dict(tool_rows(summaries))["  broken"] == "4, 4 with an error"
    assert warnings(summaries) == ["tool broken: all 4 calls ended with an error, for instance KeyError"]


def test_each_model_that_the_environment_asked_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {
        "critic": {"calls": 1, "failed": 0, "seconds": 1.0, "input_tokens": 0, "output_tokens": 0},
        "judge": {"calls": 600, "failed": 3, "seconds": 1.0, "input_tokens": 900, "output_tokens": 50},
    }
    figures = summary([[0.0], [0.0]], ng_asked_models=asked)
    assert asked_rows(figures) == [
        ("asked model critic", "2 calls"),
        ("asked model judge", "1,200 calls, 6 failed, 1,800 tokens in, 100 out"),
    ]
    print_report(report(figures))
    assert "1,200 calls, 6 failed" in capsys.readouterr().out
    assert asked_rows(summary([[0.0]])) == []


def test_nothing_from_files_reaches_the_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    tools = {"\x1b[2J[red]": {"calls": 1, "errors": 1, "error": "\x1b]0;x\x07"}}
    summaries = summary([[0.0]], ng_tool_calls=tools)
    print_report(report(summaries, "[bold]\x1b[31m", **{"mean/\x1b[0m": 1.0}))
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "[bold]" in output
    assert "[red]" in output


def test_the_live_line_has_an_interval_inside_the_range_or_none() -> None:
    progress = Progress()
    progress.requested = 9
    for task in range(6):
        assert "±" not in status_line(progress)
        progress.add(Result(task, 0, b"", 1.0, None, "", 0, 1.0))
    assert "reward 1.000 (0.610 to 1.000)" in status_line(progress)
