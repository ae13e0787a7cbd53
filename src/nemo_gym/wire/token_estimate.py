"""Estimates the number of tokens in a request, where no tokeniser is available."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams, input_items

BYTES_PER_TOKEN: Final = 4
"""Bytes of UTF-8: about right for English and code; most other texts have fewer bytes per token."""
IMAGE_TOKENS: Final = 1600
"""The tokens of one image: Anthropic's count for the largest image that it does not scale down."""
FILE_TOKENS: Final = 8000
"""The estimate for one file, whose number of pages is unknown."""
_MESSAGE_TOKENS: Final = 4
"""The tokens that a chat template adds to one item."""


def estimated_tokens(params: RequestParams) -> int:
    """The tokens of instructions, tools and input, estimated from their texts; at least 1."""
    fields = cast("dict[str, Any]", params)
    tools: list[Any] = fields.get("tools") or []
    text = _bytes(fields.get("instructions") or "") + (len(encode(tools)) if tools else 0)
    other = 0
    for item in cast("list[dict[str, Any]]", input_items(params)):
        other += _MESSAGE_TOKENS
        for field in ("content", "output", "summary"):
            text_bytes, other_tokens = _content(item.get(field))
            text += text_bytes
            other += other_tokens
        text += _bytes(item.get("name") or "") + _bytes(item.get("arguments") or "")
    return max(1, other - -text // BYTES_PER_TOKEN)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _content(content: Any) -> tuple[int, int]:
    """(bytes of text, tokens of everything else)."""
    if isinstance(content, str):
        return _bytes(content), 0
    text, other = 0, 0
    for part in cast("list[Mapping[str, Any]]", content or []):
        match part:
            case {"text": str(value)}:
                text += _bytes(value)
            case {"type": "input_image"}:
                other += IMAGE_TOKENS
            case _:
                other += FILE_TOKENS
    return text, other
