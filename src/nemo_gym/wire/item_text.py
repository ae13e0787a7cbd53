"""The text of items, in a form that allows two records of one conversation to be compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from nemo_gym.wire.items import Item, message_text
from nemo_gym.wire.jsonl import decode, encode


def item_text(items: Iterable[Item]) -> bytes:
    """The text of the items, one line each, so that the text of a conversation begins with that of every
    earlier state of it, whatever dialect it went through in between."""
    return b"".join(key for item in items if (key := _item_key(item)) is not None)


def news_after(repeated: bytes, items: list[Item]) -> list[Item]:
    """The items that come after those which say `repeated`; where they don't, after the model's last."""
    matches = 0
    for place, item in enumerate(items):
        if matches == len(repeated) and not from_model(item):
            return items[place:]
        key = _item_key(item)
        if key is None:
            continue
        if not repeated.startswith(key, matches):
            break
        matches += len(key)
    last = max((place for place, item in enumerate(items) if from_model(item)), default=-1)
    return items[last + 1 :]


def from_model(item: Item) -> bool:
    """Whether an item is the model's own."""
    return item["type"] in ("function_call", "reasoning") or (
        item["type"] == "message" and item["role"] == "assistant"
    )


def _item_key(item: Item) -> bytes | None:
    """The text of an item, the same in every dialect; None for an item that a harness may drop or rewrite
    (reasoning, system messages) and for an item without text."""
    match item["type"]:
        case "message":
            text = message_text(item).strip()
            extra = [part for part in _parts(item["content"]) if "text" not in part]
            if item["role"] in ("system", "developer") or not (text or extra):
                return None
            return encode([item["role"], text, extra]) + b"\n"
        case "function_call":
            return encode(["call", item["name"], _arguments(item["arguments"])]) + b"\n"
        case "function_call_output":
            output = item["output"]
            text = output if isinstance(output, str) else "".join(part.get("text", "") for part in output)
            return encode(["output", text.strip()]) + b"\n"
        case "reasoning":
            return None
        case _:
            return encode(item) + b"\n"


def _parts(content: str | list[Any]) -> list[dict[str, Any]]:
    return [] if isinstance(content, str) else content


def _arguments(text: str) -> Any:
    """The arguments as a value, so that it doesn't matter how a dialect writes them."""
    try:
        return decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text
