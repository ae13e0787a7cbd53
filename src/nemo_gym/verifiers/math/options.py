"""Answers that carry the letter of a multiple-choice option, as in `(D) 5`."""

from __future__ import annotations

import re
from typing import NamedTuple

from nemo_gym.verifiers.denials import denies, negates
from nemo_gym.verifiers.math.clean import plain_words
from nemo_gym.verifiers.math.parse import read
from nemo_gym.verifiers.math.tree import Listing
from nemo_gym.verifiers.math.units import hedges


class Option(NamedTuple):
    """The letter of an option and the text after it, which may be empty."""

    letter: str
    text: str


def option_of(text: str) -> Option | None:
    """Return the option that a cleaned answer names by a letter; None when it names none."""
    match = _OPTION.match(text) or _WORDED.fullmatch(text) or _LONE.fullmatch(text)
    if match is None:
        return None
    rest = text[match.end() :].strip(" ~\\:.")
    if rest.endswith("}") and rest.count("{") < rest.count("}"):
        rest = rest[:-1].rstrip()
    letter = next(filter(None, match.groups()))
    return Option(letter.upper(), rest)


def commits(option: Option) -> bool:
    """Whether the text behind a letter names neither another option nor anything against this one."""
    if not option.text:
        return True
    readings = read(option.text)
    words = plain_words(option.text)
    others = {match[0] for match in _LETTER.finditer(option.text)} - {option.letter}
    return (
        bool(readings)
        and not others
        and not any(isinstance(reading, Listing) and reading.joint == "or" for reading in readings)
        and not (denies(words) or negates(words) or hedges(words.split()))
        and "?" not in option.text
    )


_STYLE = r"(?:\\(?:text|textbf|textrm|mathrm|mathbf|textup|textit|mathbf)\s*\{\s*)?"
_OPTION = re.compile(
    rf"{_STYLE}(?:(?:[Oo]ption|[Cc]hoice)\s+)?(?:\(([A-Ja-j])\)|([A-J])(?:\)|[.:](?=\s|\}}|\Z)))\s*\}}?"
)
_WORDED = re.compile(rf"{_STYLE}(?:[Oo]ption|[Cc]hoice)\s+\(?([A-J])\)?\s*\}}?\.?")
_LONE = re.compile(rf"{_STYLE}([A-J])\s*\}}?")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-H](?![A-Za-z])")
