"""Words and n-grams of texts as numbers, and the n-grams of benchmarks.

This module imports nothing of this package, because it also runs in the environment of NeMo Curator.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

LEAST_WORDS: Final = 8
MOST_WORDS: Final = 13
"""Texts are compared by n-grams of 8 to 13 words, as in appendix C of "Language Models are Few-Shot Learners"
(Brown et al. 2020). A text of 13 words or more has n-grams of 13 words, a shorter one is compared whole."""

_SINGLE: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Chinese and Japanese characters, each of which counts as a word, because nothing separates words there."""
_TOKEN: Final = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+|[^\w\s]")
_SYMBOL, _FIGURE, _WORD = 0, 1, 2
_KIND_SHIFT: Final = np.uint64(62)
_MOST_KNOWN: Final = 1 << 20
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)


class _TokenNumbers(dict[str, int]):
    """The number of each token: its kind in the two highest bits, and a hash."""

    def __missing__(self, token: str) -> int:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        kind = (
            _SYMBOL if not (token[0].isalnum() or token[0] == "_") else _FIGURE if len(token) == 1 else _WORD
        )
        if token.isdecimal():
            kind = _FIGURE
        digest = blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = int.from_bytes(digest, "little") >> 2 | kind << 62
        self[token] = number
        return number


_numbers: Final = _TokenNumbers()


class Tokens(NamedTuple):
    """The words and symbols of a text, in small letters, and their numbers."""

    texts: list[str]
    numbers: Numbers

    @classmethod
    def of(cls, text: str) -> Tokens:
        """The tokens of a text."""
        plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
        texts = _TOKEN.findall(plain.lower() if plain.isascii() else plain.casefold())
        return cls(texts, np.fromiter(map(_numbers.__getitem__, texts), np.uint64, len(texts)))

    @property
    def words(self) -> Tokens:
        """The words and figures, without symbols."""
        return self._of_kinds(_FIGURE)

    @property
    def long_words(self) -> Tokens:
        """The words that are neither figures nor single letters."""
        return self._of_kinds(_WORD)

    def _of_kinds(self, least: int) -> Tokens:
        chosen = self.numbers >> _KIND_SHIFT >= least
        texts = [text for text, keep in zip(self.texts, chosen.tolist(), strict=True) if keep]
        return Tokens(texts, self.numbers[chosen])


def ngrams(numbers: Numbers, size: int) -> Numbers:
    """The number of each n-gram, in order.

    Args:
        numbers: of the tokens, shape (count,).
        size: of an n-gram.

    Returns:
        Shape (count - size + 1,), empty for a shorter text.
    """
    count = max(len(numbers) - size + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for place in range(size if count else 0):
        hashes = hashes * _FACTOR + numbers[place : place + count]
    return hashes ^ hashes >> np.uint64(29)


class Leak(NamedTuple):
    """A passage that a text shares with a row of a benchmark."""

    row: int
    """The index of the row among those of the benchmark."""
    passage: str


class _Index(NamedTuple):
    hashes: Numbers
    """Sorted."""
    rows: np.ndarray[Any, np.dtype[np.int64]]
    """The first row with each n-gram."""


class Benchmark:
    """The n-grams of a benchmark. An n-gram in more than two rows and more than a tenth of them is left out:
    it is the prompt's, and the prompt is no leak."""

    def __init__(self, name: str, indexes: dict[int, _Index], rows: int = 0) -> None:
        self.name = name
        self.rows = rows
        """The number of its rows, when it was not read from a file."""
        self._indexes = indexes

    @classmethod
    def of(cls, name: str, rows: Iterable[Sequence[str]], size: int = MOST_WORDS) -> Benchmark:
        """The n-grams of the texts of every row.

        Args:
            size: the number of words of an n-gram; a text of fewer words, but at least 8, is compared whole.
        """
        found: dict[int, list[tuple[int, Numbers]]] = {}
        count = 0
        for row, texts in enumerate(rows):
            count += 1
            for text in texts:
                numbers = Tokens.of(text).words.numbers
                if len(numbers) >= min(LEAST_WORDS, size):
                    length = min(len(numbers), size)
                    found.setdefault(length, []).append((row, ngrams(numbers, length)))
        most = max(2, count // 10)
        return cls(name, {length: _index(parts, most) for length, parts in sorted(found.items())}, count)

    @property
    def size(self) -> int:
        """The number of n-grams."""
        return sum(len(index.hashes) for index in self._indexes.values())

    def find(self, words: Tokens) -> Leak | None:
        """The first passage that a text shares with the benchmark; None without one."""
        for length, (hashes, rows) in reversed(self._indexes.items()):
            own = ngrams(words.numbers, length)
            if not (len(own) and len(hashes)):
                continue
            places = np.minimum(np.searchsorted(hashes, own), len(hashes) - 1)
            matches = np.flatnonzero(hashes[places] == own)
            if len(matches):
                start = int(matches[0])
                return Leak(int(rows[places[start]]), " ".join(words.texts[start : start + length]))
        return None

    def save(self, path: Path) -> None:
        """Write it to a file without a suffix of its own."""
        parts = {f"h{length}": index.hashes for length, index in self._indexes.items()}
        parts |= {f"r{length}": index.rows for length, index in self._indexes.items()}  # type: ignore[misc]
        with path.open("wb") as file:
            np.savez(file, name=np.array(json.dumps(self.name)), **parts)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Benchmark:
        """Read what `save` wrote."""
        with np.load(path) as parts:
            lengths = sorted(int(key[1:]) for key in parts.files if key[0] == "h")
            indexes = {length: _Index(parts[f"h{length}"], parts[f"r{length}"]) for length in lengths}
            return cls(json.loads(str(parts["name"])), indexes)


def _index(parts: list[tuple[int, Numbers]], most: int) -> _Index:
    """The n-grams that at most `most` rows have."""
    hashes = np.concatenate([numbers for _, numbers in parts])
    rows = np.repeat(np.array([row for row, _ in parts]), [len(numbers) for _, numbers in parts])
    order = np.lexsort((rows, hashes))
    hashes, rows = hashes[order], rows[order]
    is_first_of_row = np.ones(len(hashes), bool)
    is_first_of_row[1:] = (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])
    hashes, rows = hashes[is_first_of_row], rows[is_first_of_row]
    unique, starts, counts = np.unique(hashes, return_index=True, return_counts=True)
    rare = counts <= most
    return _Index(unique[rare], rows[starts[rare]])
