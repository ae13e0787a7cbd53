"""The text of items, in a form in which two records of one conversation can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from nemo_gym.wire.items import Item, message_text
from nemo_gym.wire.jsonl import decode, encode


def item_text(items: Iterable[Item]) -> bytes:
    """The text of the items, one line each. The text of a conversation begins with the text of every earlier
    state of it, also after a conversion to another dialect."""
    return b"".join(key for item in items if (key := _item_key(item)) is not None)


def news_after(beginning: bytes, items: list[Item]) -> list[Item]:
    """The items after those whose text is `beginning`; without such items, those after the model's last."""
    matches = 0
    for place, item in enumerate(items):
        if matches == len(beginning) and not from_model(item):
            return items[place:]
        key = _item_key(item)
        if key is None:
            continue
        if not beginning.startswith(key, matches):
            break
        matches += len(key)
    last = max((place for place, item in enumerate(items) if from_model(item)), default=-1)
    return items[last + 1 :]


def from_model(item: Item) -> bool:
    """Whether an item is the model's own."""
    kind = item.get("type", "message")
    return kind in ("function_call", "reasoning") or (kind == "message" and item.get("role") == "assistant")


def _item_key(item: Item) -> bytes | None:
    """The text of an item, the same in every dialect; None for an item without text, and for one that a
    harness may drop or change (reasoning, system messages)."""
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
    """The arguments as a value, because dialects write the same JSON in several ways."""
    try:
        return decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text
