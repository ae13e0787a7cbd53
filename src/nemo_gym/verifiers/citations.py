"""Whether a text cites numbered documents as it should: with markers such as `[2]`, or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Gate: TypeAlias = Literal[
    "right",
    "no_answer",
    "too_long",
    "malformed_attempt",
    "must_cite",
    "no_cite",
    "no_hallucination",
    "missed_gold",
    "over_cap",
    "wrong_answer",
]

MAX_TEXT: Final = 20_000
"""The most characters of an answer; a longer one fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationRule:
    """What a text must cite."""

    documents: int
    """The number of documents; they count from 1."""
    gold: Sequence[int] = ()
    """The documents that must be cited."""
    most: int | None = None
    """The most different documents that may be cited; None is the number of gold documents."""
    is_inverted: bool = False
    """Whether the text must not cite at all."""
    lines: Sequence[str] | None = None
    """The lines of a right answer with their markers; None checks only the markers."""


@dataclass(frozen=True, slots=True)
class CitationVerdict:
    """The first gate that the text does not pass, or `right`."""

    gate: Gate
    markers: tuple[int, ...] = ()

    @property
    def holds(self) -> bool:
        return self.gate == "right"


def check_citations(text: str, rule: CitationRule) -> CitationVerdict:
    """Pass a text through the gates in their order; the first that it fails is the verdict.

    A text without words beside its markers is no answer. A list of numbers in one marker, a marker with other
    characters than a number, and a bracket that is never closed are malformed.
    """
    if len(text) > MAX_TEXT:
        return CitationVerdict("too_long")
    rest = _MARKER.sub(" ", text)
    if not any(letter.isalnum() for letter in rest):
        return CitationVerdict("no_answer")
    markers = tuple(dict.fromkeys(int(number) for number in _MARKER.findall(text)))
    return CitationVerdict(_gate(text, rest, markers, rule), markers)


def _gate(text: str, rest: str, markers: tuple[int, ...], rule: CitationRule) -> Gate:
    if _has_attempt(rest):
        return "malformed_attempt"
    if rule.is_inverted:
        return "no_cite" if markers else _answer(text, rule)
    if not markers:
        return "must_cite"
    if not all(1 <= number <= rule.documents for number in markers):
        return "no_hallucination"
    if not set(rule.gold) <= set(markers):
        return "missed_gold"
    if len(markers) > (len(set(rule.gold)) if rule.most is None else rule.most):
        return "over_cap"
    return _answer(text, rule)


def _answer(text: str, rule: CitationRule) -> Gate:
    if rule.lines is None:
        return "right"
    lines = [_plain(line) for line in text.splitlines() if line.strip()]
    return "right" if lines == [_plain(line) for line in rule.lines] else "wrong_answer"


_MARKER: Final = re.compile(r"\[([0-9]{1,4})\]")
_SPACES: Final = re.compile(r"\s+")
_OTHER_FORMS: Final = re.compile(
    r"\(\s{0,3}(?:doc(?:ument)?s?\s{0,3})?[0-9]{1,4}\s{0,3}\)|【|\bdoc(?:ument)?s?\.?\s{0,3}#?[0-9]",
    re.IGNORECASE,
)


def _has_attempt(rest: str) -> bool:
    """Whether the text without its markers still has something that looks like one."""
    return "[" in rest or "]" in rest or _OTHER_FORMS.search(rest) is not None


def _plain(line: str) -> str:
    """A line without its final point, with single blanks, in lower case."""
    return _SPACES.sub(" ", line).strip().rstrip(".").replace(".[", " [").replace(". [", " [").lower()
