"""What loaders find in the rows of each export format, as the pieces of `workplace_run`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from tests.support.workplace_run import REPEATS, Piece

Row = dict[str, Any]
Text = tuple[int, list[tuple[str, str]], list[Piece]]
"""The place of a rollout in its run, the task, and what was said."""


def sft(row: Row) -> Iterator[Text]:
    yield place(row["metadata"]), opening(row["messages"][:2]), list(said(row["messages"][2:]))


def parquet(row: Row) -> Iterator[Text]:
    yield place(row), opening(row["prompt"]), list(said(row["completion"]))


def kto(row: Row) -> Iterator[Text]:
    yield place(row["metadata"]), opening(row["prompt"]), list(said(row["completion"]))


def grpo(row: Row) -> Iterator[Text]:
    for metadata, completion in zip(row["metadata"], row["completions"], strict=True):
        yield place(metadata), opening(row["prompt"]), list(said(completion))


def dpo(row: Row) -> Iterator[Text]:
    for name, completion in zip(("chosen", "rejected"), row["completions"], strict=True):
        yield place(row["metadata"][name]), opening(row["context"]), list(said(completion["completion"]))


def dpo_trl(row: Row) -> Iterator[Text]:
    for name in ("chosen", "rejected"):
        yield place(row["metadata"][name]), opening(row["prompt"]), list(said(row[name]))


READERS: Final[dict[str, Callable[[Row], Iterator[Text]]]] = {
    "sft": sft,
    "parquet": parquet,
    "kto": kto,
    "grpo": grpo,
    "dpo": dpo,
    "dpo_trl": dpo_trl,
}
"""The formats that have every text of a rollout and its place."""


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


def joined(said: Iterable[Piece]) -> Iterator[tuple[Any, ...]]:
    """The turns of the format: thought, words and calls of an answer are one, and so are their results."""
    for is_result, group in groupby(said, lambda piece: piece[0] == "result"):
        pieces = list(group)
        if is_result:
            yield "observation", [piece[1] for piece in pieces]
            continue
        words = "".join(
            f"<think>{one[1]}</think>" if one[0] == "think" else one[1] for one in pieces if one[0] != "call"
        )
        calls = [(one[1], json.loads(one[2])) for one in pieces if one[0] == "call"]
        yield ("function_call", words, calls) if calls else ("gpt", words)


def turn_of(source: str, value: str) -> tuple[Any, ...]:
    """A turn as LLaMA-Factory reads it."""
    if source == "observation":
        return source, value.split("\n</tool_response>\n<tool_response>\n")
    if source != "function_call":
        return source, value
    if tagged := re.search("<tool_call>(.*?)</tool_call>", value, re.DOTALL):
        text = tagged.group(1)
        words = value.replace(tagged.group(0), "")
    else:
        thought = re.search("<think>.*?</think>", value, re.DOTALL)
        words = thought.group(0) if thought else ""
        text = value.replace(words, "")
    calls = json.loads(text)
    return (
        source,
        words,
        [(one["name"], one["arguments"]) for one in (calls if isinstance(calls, list) else [calls])],
    )
