"""Decodes large JSON in pieces, so that the thread never holds the interpreter lock for long."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from nemo_gym.wire.jsonl import decode

PIECE: Final = 1 << 18
"""Bytes that are decoded in one step."""


def decode_pieces(text: bytes) -> Any:
    """The same value, or the same error, as `wire.jsonl.decode`."""
    return _value(memoryview(text), _LEVELS)


_LEVELS: Final = 8
"""Levels down to which large values are split; each level reads their text once more."""
_SPACE: Final = b" \t\r\n"
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items: Final = msgspec.json.Decoder(list[msgspec.Raw])


def _value(text: memoryview, levels: int) -> Any:
    if len(text) <= PIECE or not levels:
        return decode(text)
    start = bytes(text[:_SPACES]).lstrip(_SPACE)[:1]
    if start == b"{":
        return {key: _value(memoryview(raw), levels - 1) for key, raw in _fields.decode(text).items()}
    if start != b"[":
        return decode(text)
    content = bytes(text)
    inside = content.index(b"[") + 1
    if content.find(b"{", inside) >= 0 or content.find(b"[", inside) >= 0:
        return [_value(memoryview(raw), levels - 1) for raw in _items.decode(content)]
    return decode(content) if content.find(b'"', inside) >= 0 else _plain(content, inside)


_SPACES: Final = 64
"""Bytes that are searched for the first character that is no space."""


def _plain(content: bytes, begin: int) -> list[Any]:
    """An array of numbers, true, false and null, the first of which is at `begin`."""
    values: list[Any] = []
    while (end := content.find(b",", begin + PIECE)) >= 0:
        part = decode(b"[%b]" % content[begin:end])
        if not part:
            raise msgspec.DecodeError("JSON is malformed: a value is missing")
        values += part
        begin = end + 1
    return values + decode(b"[" + content[begin:])
