"""The value of an override: a number, true, false, null, text, `[a, b]`, `{a: 1, b: [2]}`, or quoted text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

MAX_DEPTH: Final = 32

_INTEGER: Final = re.compile(r"[+-]?(0|[1-9][0-9_]{0,1000})")
_FLOAT: Final = re.compile(r"[+-]?(([0-9][0-9_]*)?\.[0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][+-]?[0-9]{1,3})?")
_WORDS: Final = {"true": True, "false": False, "null": None, "none": None}
_ENDS: Final = {"[": "]", "{": "}"}


def parse_value(text: str) -> Any:
    """The value of an override's text. Text that is not a list, a mapping or quoted is one plain value.

    Raises:
        ValueError: a list, mapping or quotation does not end, or something follows its end.
    """
    stripped = text.strip()
    if not stripped.startswith(("[", "{", '"', "'")):
        return _plain(stripped)
    reader = _Reader(stripped)
    value = reader.value(0)
    if reader.rest():
        raise ValueError(f"there is more after the value: {reader.rest()[:40]!r}")
    return value


def format_value(value: Any) -> str:
    """The text from which `parse_value` reads the same value of JSON types."""
    match value:
        case str():
            return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
        case dict():
            pairs = cast("dict[str, Any]", value).items()
            return f"{{{', '.join(f'{format_value(key)}: {format_value(each)}' for key, each in pairs)}}}"
        case list():
            return f"[{', '.join(map(format_value, cast('list[Any]', value)))}]"
        case _:
            return json.dumps(value)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rest(self) -> str:
        return self._text[self._at :].lstrip()

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        match self._peek():
            case "[":
                return [self.value(depth + 1) for _ in self._elements("[")]
            case "{":
                return {self._key(): self.value(depth + 1) for _ in self._elements("{")}
            case '"' | "'" as quote:
                return self._quoted(quote)
            case _:
                return _plain(self._bare(",]}"))

    def _elements(self, start: str) -> Iterator[None]:
        end = _ENDS[start]
        self._at += 1
        while self._peek() != end:
            yield
            if self._peek() == ",":
                self._at += 1
            elif self._peek() != end:
                raise ValueError(f"expected , or {end} at {self.rest()[:40]!r}")
        self._at += 1

    def _key(self) -> str:
        quote = self._peek()
        key = self._quoted(quote) if quote in ('"', "'") else self._bare(":,]}")
        if not key or self._peek() != ":":
            raise ValueError(f"expected key: value at {self.rest()[:40]!r}")
        self._at += 1
        return key

    def _quoted(self, quote: str) -> str:
        characters: list[str] = []
        at = self._at + 1
        while at < len(self._text):
            letter = self._text[at]
            if letter == "\\" and self._text[at + 1 : at + 2] in ("\\", quote):
                characters.append(self._text[at + 1])
                at += 2
            elif letter == quote:
                self._at = at + 1
                return "".join(characters)
            else:
                characters.append(letter)
                at += 1
        raise ValueError(f"{quote} is not closed")

    def _bare(self, stops: str) -> str:
        start, braces = self._at, 0
        while self._at < len(self._text):
            letter = self._text[self._at]
            if self._text.startswith("${", self._at):
                braces += 1
                self._at += 1
            elif letter == "}" and braces:
                braces -= 1
            elif letter in stops and not braces:
                break
            self._at += 1
        return self._text[start : self._at].strip()

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]


def _plain(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and text.strip("+-._"):
        return float(text)
    return text
