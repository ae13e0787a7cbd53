"""500 rollouts of `workplace_assistant` in every format: a loader reads what was said, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.json
import pyarrow.parquet
import pytest

from nemo_gym.training.exports.export import ExportReport, export
from nemo_gym.wire.rollout import Rollout
from tests.support.exported_texts import READERS, joined, opening, said, turn_of
from tests.support.workplace_run import pieces, prompt_texts, write_workplace_run

Run = tuple[Path, list[Rollout]]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_workplace_run(tmp_path_factory.mktemp("run"))


def load(report: ExportReport) -> list[Row]:
    """The rows as pyarrow reads them, with its own types for the nested columns."""
    if report.format == "parquet":
        return pyarrow.parquet.read_table(report.path).to_pylist()
    options = pyarrow.json.ReadOptions(block_size=64 << 20)
    return pyarrow.json.read_json(report.path, read_options=options).to_pylist()


def test_the_rollouts_are_what_the_test_needs(run: Run) -> None:
    _, rollouts = run
    assert len(rollouts) == 500
    assert all(one.failure is None for one in rollouts)
    rewards = [one.reward for one in rollouts]
    assert min(rewards.count(0.0), rewards.count(1.0)) > 100
    assert sum(sum(piece[0] == "call" for piece in pieces(one)) > 1 for one in rollouts) > 50


@pytest.mark.parametrize("format", READERS)
def test_a_format_has_the_texts_of_the_rollouts(run: Run, tmp_path: Path, format: str) -> None:
    path, rollouts = run

    rows = load(export(path, format, tmp_path / "out"))

    texts = [text for row in rows for text in READERS[format](row)]
    assert len(texts) >= (200 if format.startswith("dpo") else 500)
    assert len({place for place, *_ in texts}) == len(texts)
    for place, prompt, completion in texts:
        assert prompt == prompt_texts(rollouts[place])
        assert completion == pieces(rollouts[place])


def test_openai_has_all_but_the_thoughts(run: Run, tmp_path: Path) -> None:
    path, rollouts = run
    rows = load(export(path, "openai", tmp_path / "out"))
    for rollout, row in zip(rollouts, rows, strict=True):
        assert opening(row["messages"][:2]) == prompt_texts(rollout)
        assert list(said(row["messages"][2:])) == [one for one in pieces(rollout) if one[0] != "think"]


def test_sharegpt_has_the_texts_and_the_values_of_arguments(run: Run, tmp_path: Path) -> None:
    path, rollouts = run
    rows = load(export(path, "sharegpt", tmp_path / "out"))
    for rollout, row in zip(rollouts, rows, strict=True):
        first, *turns = [(turn["from"], turn["value"]) for turn in row["conversations"]]
        assert [("system", row["system"]), ("user", first[1])] == prompt_texts(rollout)
        assert [turn_of(*turn) for turn in turns] == list(joined(pieces(rollout)))


@pytest.mark.parametrize("format", ["sft", "openai", "sharegpt", "kto", "grpo", "dpo", "dpo_trl"])
def test_a_row_is_one_line_for_every_reader(run: Run, tmp_path: Path, format: str) -> None:
    report = export(run[0], format, tmp_path / "out")
    text = Path(report.path).read_text(encoding="utf-8")
    assert text.splitlines() == text.split("\n")[:-1]


def test_the_tools_of_a_row_are_those_that_the_model_saw(run: Run, tmp_path: Path) -> None:
    path, rollouts = run
    lines = Path(export(path, "sft", tmp_path / "out").path).read_bytes().split(b"\n")[:-1]
    columns = load(export(path, "parquet", tmp_path / "columns"))
    for rollout, line, row in zip(rollouts, lines, columns, strict=True):
        offered = rollout.row["responses_create_params"]["tools"]
        for tools in (json.loads(line)["tools"], json.loads(row["tools"])):
            assert [one["function"]["parameters"] for one in tools] == [one["parameters"] for one in offered]
            assert [one["function"]["name"] for one in tools] == [one["name"] for one in offered]
