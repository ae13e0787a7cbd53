"""Whether the lines of a text match patterns, and whether its citation markers are the expected ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nemo_gym.verifiers.patterns import bounded_pattern, check_patterns

MAX_TEXT: Final = 20_000
"""The most characters of an answer; a longer one fails."""


@dataclass(frozen=True, slots=True)
class LayoutVerdict:
    """The result; `reason` is `right` or a code for what is wrong."""

    reason: Literal["right", "no_answer", "too_long", "no_match", "missing_marker", "spurious_marker"]
    answer: str | None = None

    @property
    def holds(self) -> bool:
        return self.reason == "right"


def check_lines(text: str, patterns: Sequence[str], least: int) -> LayoutVerdict:
    """Whether, for each pattern, at least so many lines match it anywhere. Case counts.

    Raises:
        ValueError: a pattern is refused, or there is none.
    """
    if not patterns:
        raise ValueError("there is no pattern")
    check_patterns(patterns)
    if reason := _unfit(text):
        return LayoutVerdict(reason)
    lines = text.splitlines()
    for pattern in (bounded_pattern(source, ignore_case=False) for source in patterns):
        if sum(pattern.matches(line) for line in lines) < least:
            return LayoutVerdict("no_match", pattern.source[:200])
    return LayoutVerdict("right")


def check_markers(text: str, expected: Sequence[str]) -> LayoutVerdict:
    """Whether a text has every expected marker, such as `[2]`, and no other of the same form.

    The form is that of the expected markers: the characters around the number, such as `[^2]` or `(2)`.

    Raises:
        ValueError: a marker has no number, or there is none.
    """
    forms = {marker_form(marker) for marker in expected}
    if not forms:
        raise ValueError("there is no marker")
    if reason := _unfit(text):
        return LayoutVerdict(reason)
    markers = {before + number + after for before, after in forms for number in _numbers(text, before, after)}
    answer = " ".join(sorted(markers))[:200]
    if missing := set(expected) - markers:
        return LayoutVerdict("missing_marker", " ".join(sorted(missing))[:200])
    return LayoutVerdict("spurious_marker" if markers - set(expected) else "right", answer)


def marker_form(marker: str) -> tuple[str, str]:
    """The characters before and after the number of a marker.

    Raises:
        ValueError: it is not a number with up to 5 characters on each side.
    """
    match = _MARKER.fullmatch(marker)
    if match is None:
        raise ValueError(f"the marker {marker[:50]!r} is not a number with characters around it, such as [2]")
    return match[1], match[3]


_MARKER: Final = re.compile(r"([^\d]{1,5})(\d{1,9})([^\d]{1,5})", re.ASCII)


def _unfit(text: str) -> Literal["no_answer", "too_long"] | None:
    if not text.strip():
        return "no_answer"
    return "too_long" if len(text) > MAX_TEXT else None


def _numbers(text: str, before: str, after: str) -> set[str]:
    form = re.compile(rf"{re.escape(before)}(\d{{1,9}}){re.escape(after)}", re.ASCII)
    return set(form.findall(text))
