"""What loaders find in the rows of each export format, as the pieces of `workplace_run`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
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
