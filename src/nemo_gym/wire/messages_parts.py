"""Converts content blocks of the Messages API to and from items and content parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.history import INVALID, as_json_object
from nemo_gym.wire.jsonl import encode

IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""The image types of the Messages API."""


def tool_input(arguments: str) -> dict[str, Any]:
    """The `input` object for arguments as text; text that isn't a JSON object is put into one."""
    value = as_json_object(arguments or "{}")
    return {INVALID: arguments} if value is None else value


def tool_arguments(value: dict[str, Any]) -> str:
    """The arguments as text for an `input` object; the inverse of `tool_input`."""
    if len(value) == 1 and isinstance(text := value.get(INVALID), str):
        return text
    return encode(value).decode()


def thinking_block(item: Mapping[str, Any]) -> dict[str, Any]:
    """The block of a reasoning item; one whose text is hidden is `redacted_thinking`."""
    parts = cast("list[dict[str, Any]]", item.get("summary") or item.get("content") or [])
    text = joined_text(parts)
    signature = item.get("encrypted_content") or ""
    if signature and not text:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": text, "signature": signature}


def reasoning_item(block: Mapping[str, Any], id: str) -> dict[str, Any] | None:
    """The reasoning item of a thinking block, its signature as `encrypted_content`; else None."""
    match block:
        case {"type": "thinking", "thinking": str(text)}:
            summary = [{"type": "summary_text", "text": text}]
            signature = block.get("signature")
        case {"type": "redacted_thinking", "data": str(signature)}:
            summary = []
        case _:
            return None
    item: dict[str, Any] = {"type": "reasoning", "id": id, "summary": summary}
    if signature:
        item["encrypted_content"] = signature
    return item


def image_block(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The image block of an `input_image` part.

    Raises:
        UsageError: its image is neither a base64 data URL of a known type nor on the web.
    """
    url = part.get("image_url")
    if isinstance(url, str):
        head, _, data = url.partition(",")
        kind = head.removeprefix("data:").removesuffix(";base64")
        if kind in IMAGE_TYPES and head == f"data:{kind};base64":
            return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
        if url.startswith(("https://", "http://")):
            return {"type": "image", "source": {"type": "url", "url": url}}
    elif isinstance(id := part.get("file_id"), str):
        return {"type": "image", "source": {"type": "file", "file_id": id}}
    raise UsageError(f"{where}: expected a web address or a base64 data URL of {', '.join(IMAGE_TYPES)}")


def image_part(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The `input_image` part of an image block; the inverse of `image_block`.

    Raises:
        UsageError: its source is neither base64 of a known type, nor on the web, nor an uploaded file.
    """
    match block.get("source"):
        case {"type": "base64", "media_type": str(kind), "data": str(data)} if kind in IMAGE_TYPES:
            return {"type": "input_image", "image_url": f"data:{kind};base64,{data}"}
        case {"type": "url", "url": str(url)} if url.startswith(("https://", "http://")):
            return {"type": "input_image", "image_url": url}
        case {"type": "file", "file_id": str(id)}:
            return {"type": "input_image", "file_id": id}
        case _:
            kinds = ", ".join(IMAGE_TYPES)
            raise UsageError(f"{where}.source: expected base64 of {kinds}, a web address or a file_id")


def joined_text(parts: Iterable[Mapping[str, Any]]) -> str:
    """The texts of parts or blocks, one line each."""
    return "\n".join(text for part in parts if isinstance(text := part.get("text"), str))
