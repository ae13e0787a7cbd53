"""How alike two texts are, by the longest runs of characters that they share, with bounded work."""

from __future__ import annotations

import itertools
from difflib import Match, SequenceMatcher
from typing import Final

__all__ = ["prefix_weighted_similarity", "sequence_similarity", "similarity_after_prefix", "squeezed"]

_MAX_GOLD: Final = 200_000
_MAX_WORK: Final = 5_000_000
"""The most pairs of characters that are compared, which takes about a second."""
_PREFIX: Final = 10


def sequence_similarity(text: str, gold: str) -> float:
    """The ratio of `difflib.SequenceMatcher`: twice the shared characters by all characters, from 0 to 1.

    What can't agree costs nothing: of a text that is far longer than `gold` only a beginning is compared, and
    after 5 million comparisons no more runs are looked for. The result is then a lower bound of the ratio.
    """
    if text == gold:
        return 1.0
    if not text or not gold or len(gold) > _MAX_GOLD:
        return 0.0
    part = text[: 4 * len(gold) + 1000]
    shared = sum(block.size for block in _BoundedMatcher(part, gold).get_matching_blocks())
    return 2.0 * shared / (len(text) + len(gold))


def prefix_weighted_similarity(text: str, gold: str) -> float:
    """The similarity with a weight of 0.85, and that of the first ten characters with 0.15."""
    prefix = gold[:_PREFIX]
    similarity = sequence_similarity(text[: len(prefix)], prefix)
    return min(1.0, 0.85 * sequence_similarity(text, gold) + 0.15 * similarity)


def similarity_after_prefix(text: str, gold: str, prefix: str) -> float:
    """The similarity of both texts without the prefix; 0 for a text that doesn't start with it."""
    if not text.startswith(prefix):
        return 0.0
    return sequence_similarity(text.removeprefix(prefix), gold.removeprefix(prefix))


def squeezed(text: str) -> str:
    """The text in lower case, with one blank for each run of white space and none at its ends."""
    return " ".join(text.lower().split())


class _BoundedMatcher(SequenceMatcher[str]):
    """Stops its search after a number of comparisons."""

    def __init__(self, text: str, gold: str) -> None:
        super().__init__(None, text, gold)
        places: dict[str, list[int]] = vars(self)["b2j"]
        costs = (1 + len(places[one]) if one in places else 1 for one in text)
        self._costs = [0, *itertools.accumulate(costs)]
        self._work = 0

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        self._work += self._costs[-1 if ahi is None else ahi] - self._costs[alo]
        if self._work > _MAX_WORK:
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)
