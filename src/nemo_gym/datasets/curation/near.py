"""Finds texts that are nearly the same as an earlier one, with MinHash and locality-sensitive hashing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NamedTuple

import numpy as np

from nemo_gym.datasets.curation.ngrams import Numbers
from nemo_gym.wire.errors import UsageError

SHINGLE: Final = 3
"""The words and symbols of a shingle."""
_BANDS: Final = 20
_ROWS: Final = 6
"""Two texts with a Jaccard similarity of 0.8 share one of 20 bands of 6 minima with a probability of 0.998,
and two with a similarity of 0.2 with one of 0.001."""
_SEED: Final = 20261129
_MARGIN: Final = 0.15
"""Four standard deviations of the estimate from 120 minima."""

Signature = np.ndarray[Any, np.dtype[np.uint32]]


class Neighbour(NamedTuple):
    """The earlier text that a text is nearly the same as."""

    number: int
    similarity: float


class NearDuplicates:
    """The texts so far. Candidates come from MinHash.

    Args:
        threshold: the least similarity of near duplicates.
        shingles_of: returns the sorted shingles of an earlier text by its number, from which the similarity
            is computed. Without it, the similarity is estimated.
        most: the most texts of one bucket.
        bands: how many of the 20 bands are used; fewer need less memory and find less.
    """

    def __init__(
        self,
        threshold: float,
        shingles_of: Callable[[int], Numbers] | None = None,
        *,
        most: int = 100,
        bands: int = _BANDS,
    ) -> None:
        self._threshold = threshold
        self._shingles_of = shingles_of and lru_cache(maxsize=4096)(shingles_of)
        self._most = most
        self._buckets: list[dict[int, int | list[int]]] = [{} for _ in range(bands)]
        """The places of the texts in each bucket of a band; a number alone needs less memory than a list."""
        self._signatures = np.empty((1024, _BANDS * _ROWS), np.uint32)
        self._numbers: list[int] = []

    def find(self, signature: Signature, group: bytes, shingles: Numbers) -> Neighbour | None:
        """The most similar earlier text of the group, if it is similar enough."""
        near = set[int]()
        for bucket, band in zip(self._buckets, _bands(signature, group), strict=False):
            match bucket.get(band):
                case int(place):
                    near.add(place)
                case list(places):
                    near.update(places)
                case None:
                    pass
        if not near:
            return None
        places = np.array(sorted(near))
        estimates = (self._signatures[places] == signature).mean(axis=1)
        margin = _MARGIN if self._shingles_of else 0.0
        for at in np.argsort(-estimates, kind="stable").tolist():
            similarity = float(estimates[at])
            if similarity < self._threshold - margin:
                break
            number = self._numbers[places[at]]
            if self._shingles_of:
                similarity = jaccard(shingles, self._shingles_of(number))
            if similarity >= self._threshold:
                return Neighbour(number, similarity)
        return None

    def add(self, number: int, signature: Signature, group: bytes) -> None:
        """Add a text for later ones of the group to be compared with."""
        place = len(self._numbers)
        if place == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[place] = signature
        self._numbers.append(number)
        for bucket, band in zip(self._buckets, _bands(signature, group), strict=False):
            match bucket.setdefault(band, place):
                case int(first):
                    if first != place and self._most > 1:
                        bucket[band] = [first, place]
                case list(others):
                    if len(others) < self._most:
                        others.append(place)


def signatures(shingles: Sequence[Numbers]) -> Signature:
    """The minima of each set of shingles, shape (sets, 120).

    Raises:
        UsageError: the library is missing.
    """
    try:
        minhash: Any = import_module("rensa").RMinHash
    except ImportError:
        raise UsageError("near duplicates need a library: pip install 'nemo-gym[curate]'") from None
    offsets = [0, *np.cumsum([len(one) for one in shingles]).tolist()]
    flat = np.concatenate(shingles) if shingles else np.empty(0, np.uint64)
    matrix = minhash.digest_matrix_from_flat_token_hashes(flat, offsets, _BANDS * _ROWS, _SEED)
    return np.array(matrix.to_rows(), np.uint32).reshape(len(shingles), _BANDS * _ROWS)


def jaccard(one: Numbers, other: Numbers) -> float:
    """The share of common elements of two sorted sets in both together."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _bands(signature: Signature, group: bytes) -> list[int]:
    start = np.uint64(int.from_bytes(group[:8], "little"))
    keys = np.full(_BANDS, start, np.uint64)
    for column in signature.reshape(_BANDS, _ROWS).T.astype(np.uint64):
        keys = (keys ^ column) * _FACTOR
        keys ^= keys >> np.uint64(32)
    return keys.tolist()


_FACTOR: Final = np.uint64(0xFF51AFD7ED558CCD)
