"""500 rollouts of `workplace_assistant` in every format: a loader reads what was said, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.json
import pyarrow.parquet
import pytest

from nemo_gym.training.exports.export import ExportReport, export
from nemo_gym.wire.rollout import Rollout
from tests.support.workplace_run import REPEATS, Piece, pieces, prompt_texts, write_workplace_run

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


def said(messages: Iterable[Row]) -> Iterator[Piece]:
    for message in messages:
        if message["role"] == "tool":
            yield "result", message["content"], message["tool_call_id"]
            continue
        if message.get("reasoning_content"):
            yield "think", message["reasoning_content"]
        if message["content"]:
            yield "say", message["content"]
        for call in message.get("tool_calls") or ():
            function = call.get("function", call)
            yield "call", function["name"], function["arguments"], call["id"]


def opening(messages: Iterable[Row]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


def place(metadata: Row) -> int:
    return metadata["task_index"] * REPEATS + metadata["rollout_index"]


def test_the_rollouts_are_what_the_test_needs(run: Run) -> None:
    _, rollouts = run
    assert len(rollouts) == 500
    assert all(one.failure is None for one in rollouts)
    rewards = [one.reward for one in rollouts]
    assert min(rewards.count(0.0), rewards.count(1.0)) > 100
    assert sum(sum(piece[0] == "call" for piece in pieces(one)) > 1 for one in rollouts) > 50


def sft(row: Row) -> Iterator[tuple[int, Any, Any]]:
    yield place(row["metadata"]), opening(row["messages"][:2]), said(row["messages"][2:])


def parquet(row: Row) -> Iterator[tuple[int, Any, Any]]:
    yield place(row), opening(row["prompt"]), said(row["completion"])


def kto(row: Row) -> Iterator[tuple[int, Any, Any]]:
    yield place(row["metadata"]), opening(row["prompt"]), said(row["completion"])


def grpo(row: Row) -> Iterator[tuple[int, Any, Any]]:
    for metadata, completion in zip(row["metadata"], row["completions"], strict=True):
        yield place(metadata), opening(row["prompt"]), said(completion)


def dpo(row: Row) -> Iterator[tuple[int, Any, Any]]:
    for name, completion in zip(("chosen", "rejected"), row["completions"], strict=True):
        yield place(row["metadata"][name]), opening(row["context"]), said(completion["completion"])


def dpo_trl(row: Row) -> Iterator[tuple[int, Any, Any]]:
    for name in ("chosen", "rejected"):
        yield place(row["metadata"][name]), opening(row["prompt"]), said(row[name])


@pytest.mark.parametrize(
    ("read", "count"), [(sft, 500), (parquet, 500), (kto, 500), (grpo, 500), (dpo, 200), (dpo_trl, 200)]
)
def test_a_format_has_the_texts_of_the_rollouts(
    run: Run, tmp_path: Path, read: Callable[[Row], Iterator[tuple[int, Any, Any]]], count: int
) -> None:
    path, rollouts = run

    rows = load(export(path, read.__name__, tmp_path / "out"))

    texts = [text for row in rows for text in read(row)]
    assert len(texts) >= count
    assert len({number for number, *_ in texts}) == len(texts)
    for number, prompt, completion in texts:
        assert prompt == prompt_texts(rollouts[number])
        assert list(completion) == pieces(rollouts[number])


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


def joined(said: Iterable[Piece]) -> Iterator[tuple[Any, ...]]:
    """The turns of the format: a thought is in the text after it, and arguments are values."""
    thought = ""
    for kind, *texts in said:
        if thought and kind != "say":
            yield "gpt", thought
        match kind:
            case "say":
                yield "gpt", thought + texts[0]
            case "call":
                yield "function_call", texts[0], json.loads(texts[1])
            case "result":
                yield "observation", texts[0]
            case _:
                pass
        thought = f"<think>{texts[0]}</think>" if kind == "think" else ""


def turn_of(source: str, value: str) -> tuple[Any, ...]:
    if source != "function_call":
        return source, value
    call = json.loads(value)
    return source, call["name"], call["arguments"]


@pytest.mark.parametrize("format", ["sft", "openai", "sharegpt", "kto", "grpo", "dpo", "dpo_trl"])
def test_a_row_is_one_line_for_every_reader(run: Run, tmp_path: Path, format: str) -> None:
    report = export(run[0], format, tmp_path / "out")
    text = Path(report.path).read_text(encoding="utf-8")
    assert [json.loads(line) for line in text.splitlines()] == [
        json.loads(line) for line in text.split("\n")[:-1]
    ]


def test_the_tools_of_a_row_are_those_that_the_model_saw(run: Run, tmp_path: Path) -> None:
    path, rollouts = run
    lines = Path(export(path, "sft", tmp_path / "out").path).read_bytes().split(b"\n")[:-1]
    columns = load(export(path, "parquet", tmp_path / "columns"))
    for rollout, line, row in zip(rollouts, lines, columns, strict=True):
        offered = rollout.row["responses_create_params"]["tools"]
        for tools in (json.loads(line)["tools"], json.loads(row["tools"])):
            assert [one["function"]["parameters"] for one in tools] == [one["parameters"] for one in offered]
            assert [one["function"]["name"] for one in tools] == [one["name"] for one in offered]
