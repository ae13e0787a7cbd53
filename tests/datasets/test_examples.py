"""The examples that a server is committed with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nemo_gym.datasets.examples import example_problems
from nemo_gym.workloads.scaffold.server import Scale, write_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_server("adding", tmp_path, Scale())
    return tmp_path / "resources_servers" / "adding"


def test_the_examples_of_a_new_server_are_right(folder: Path) -> None:
    assert example_problems(folder) == []


def test_too_few_rows_rollouts_and_other_figures_are_named(folder: Path) -> None:
    data = folder / "data"
    for name in ("example.jsonl", "example_rollouts.jsonl"):
        (data / name).write_text("".join((data / name).read_text().splitlines(keepends=True)[:4]))
    figures = json.loads((data / "example_metrics.json").read_text())
    del figures["Number of turns"]
    (data / "example_metrics.json").write_text(json.dumps(figures))
    found = [problem.removeprefix(f"{data}/") for problem in example_problems(folder)]
    assert found[0] == "example.jsonl: has 4 rows, expected 5"
    assert "example_metrics.json: Number of turns: missing" in found
    assert "example_metrics.json: Number of examples: was 5, is 4" in found
    assert found[-1] == "example_rollouts.jsonl: has 4 rows, expected 5"


def test_a_row_that_is_no_task_and_files_that_are_missing_are_named(folder: Path) -> None:
    data = folder / "data"
    (data / "example.jsonl").write_text('{"responses_create_params": {"inputs": []}}\n')
    (data / "example_rollouts.jsonl").unlink()
    first, last = example_problems(folder)
    assert first.startswith(f"{data}/example.jsonl:1: responses_create_params")
    assert "can't be read" in last
