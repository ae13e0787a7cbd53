"""Finds texts that are no tasks: too short, too long, repetitive, or not readable."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
import numpy as np

from nemo_gym.datasets.curation.ngrams import Tokens, ngrams


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a text may be like."""

    min_words: Annotated[int, msgspec.Meta(ge=0)] = 3
    max_words: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_repetition: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8
    """The largest share of three words in a row that were there before. Figures and single letters don't
    count, because boards and grids are full of them, and neither do texts of fewer than 30 words."""
    max_junk: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    """The largest share of control characters and of characters without a meaning."""


def problem(text: str, tokens: Tokens, limits: Limits) -> tuple[str, str] | None:
    """The reason why a text is no task, and its measure; None for a good text."""
    junk = 0 if text.isascii() and text.isprintable() else len(_JUNK.findall(text))
    if text and junk / len(text) > limits.max_junk:
        return "unreadable", f"{junk / len(text):.0%} of the characters"
    count = len(tokens.words.numbers)
    if count < limits.min_words:
        return "too_short", f"{count} words"
    if limits.max_words is not None and count > limits.max_words:
        return "too_long", f"{count} words"
    long_words = tokens.long_words.numbers
    if len(long_words) >= _LEAST:
        triples = ngrams(long_words, 3)
        share = 1 - len(np.unique(triples)) / len(triples)
        if share > limits.max_repetition:
            return "repetitive", f"{share:.0%} of the text was there before"
    return None


_LEAST: Final = 30
_JUNK: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufff0-\uffff\U000e0000-\U0010ffff]"
)
