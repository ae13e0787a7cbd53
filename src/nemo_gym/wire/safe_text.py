"""Text from outside without the characters that could steer a terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ALLOWED: Final = frozenset("\n\t\u200c\u200d")
"""Line ends, tabs, and the two joiners in words of some scripts and in emoji."""
_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that steer a terminal or the order of what is read: controls (C0, DEL and C1),
formats (bidirectional overrides, invisible marks, tags), surrogates, line and paragraph separators."""
_STRANGE: Final = re.compile(r"[^\x20-\x7e\n\t]")


def printable(text: str) -> str:
    """The text with U+FFFD for every character that could steer a terminal instead of being read."""
    return _STRANGE.sub(lambda match: "\N{REPLACEMENT CHARACTER}" if is_harmful(match[0]) else match[0], text)


def is_harmful(character: str) -> bool:
    """Whether a character could steer a terminal, hide text or change the order in which text is read."""
    return unicodedata.category(character) in _HARMFUL and character not in _ALLOWED


def escaped_json(text: str) -> str:
    """JSON that means the same, with `\\uXXXX` for every such character."""
    return _STRANGE.sub(lambda match: _escape(match[0]) if is_harmful(match[0]) else match[0], text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
