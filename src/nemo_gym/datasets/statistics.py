"""Statistics of the columns of a data set. Memory does not grow with the number of rows, except for 8 bytes
for every distinct text."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any, Final, TypeAlias, cast

from nemo_gym.wire import keys
from nemo_gym.wire.task import Row

TOOLS: Final = "Number of tools"
WORDS: Final = "Json-dumped number of words (proxy for token count)"
TURNS: Final = "Number of turns"
TEMPERATURE: Final = "Temperature"

Figures: TypeAlias = dict[str, Any]


class Statistics:
    """The figures of rows that are added one by one."""

    def __init__(self) -> None:
        self.examples = 0
        self._request = {name: Numbers() for name in (TOOLS, WORDS, TURNS, TEMPERATURE)}
        self._columns: dict[str, Column] = {}

    def add(self, row: Row, times: int = 1) -> None:
        """Add a row that counts `times`."""
        self.examples += times
        for name, value in _request_figures(row[keys.PARAMS]).items():
            if value is not None:
                self._request[name].add(value, times)
        for name, value in row.items():
            if name not in _NO_COLUMNS:
                self._column(name).add(value, times)

    def merge(self, other: Statistics) -> None:
        """Add all rows of another object, which does not change."""
        self.examples += other.examples
        for name, numbers in other._request.items():
            self._request[name].merge(numbers)
        for name, column in other._columns.items():
            self._column(name).merge(column)

    def figures(self) -> Figures:
        """The figures by name. A column with the name of another figure replaces it; empty columns are left
        out."""
        request = {name: numbers.figures() for name, numbers in self._request.items()}
        columns = {name: figures for name, column in self._columns.items() if (figures := column.figures())}
        return {"Number of examples": self.examples, **request, **columns}

    def _column(self, name: str) -> Column:
        return self._columns.setdefault(name, Column())


class Numbers:
    """Mean, extremes and sample standard deviation, updated as Chan, Golub and LeVeque (1979) do."""

    __slots__ = ("_squares", "count", "least", "mean", "most")

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.least = math.inf
        self.most = -math.inf
        self._squares = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Add a number that counts `times`."""
        self._join(times, value, 0.0, value, value)

    def merge(self, other: Numbers) -> None:
        """Add all numbers of another object."""
        self._join(other.count, other.mean, other._squares, other.least, other.most)

    @property
    def deviation(self) -> float:
        """The sample standard deviation; 0 for a single number."""
        return math.sqrt(self._squares / (self.count - 1)) if self.count > 1 else 0.0

    def figures(self) -> Figures:
        """The figures, with the rounding of the original package; zeros without a number."""
        return {
            "Total # non-null values": self.count,
            "Average": _round(self.mean),
            "Min": _round(self.least if self.count else 0.0),
            "Max": _round(self.most if self.count else 0.0),
            "Standard deviation": _round(self.deviation),
        }

    def _join(self, count: int, mean: float, squares: float, least: float, most: float) -> None:
        if not count:
            return
        total = self.count + count
        delta = mean - self.mean
        self.mean += delta * (count / total)
        self._squares += squares + delta * delta * (self.count * (count / total))
        self.count = total
        self.least = min(self.least, least)
        self.most = max(self.most, most)


class Column:
    """One column: numbers, texts, booleans as 0 and 1, and lists of these, one level deep. A column with both
    numbers and texts counts as texts."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._texts = 0
        self._distinct = DistinctTexts()

    def add(self, value: Any, times: int = 1) -> None:
        """Add the value of one row. Null and objects are ignored."""
        match value:
            case str():
                self._texts += times
                self._distinct.add(value)
            case int() | float():
                self._add_number(value, times)
            case list():
                for item in cast("list[Any]", value):
                    if not isinstance(item, list):
                        self.add(item, times)
            case _:
                pass

    def merge(self, other: Column) -> None:
        """Add all values of another object."""
        self._numbers.merge(other._numbers)
        self._texts += other._texts
        self._distinct.merge(other._distinct)

    def figures(self) -> Figures:
        """The figures of the column; empty when it has no values."""
        if self._texts:
            return {"unique_count": len(self._distinct), "total_count": self._texts}
        return self._numbers.figures() if self._numbers.count else {}

    def _add_number(self, value: float, times: int) -> None:
        try:
            self._numbers.add(float(value), times)
        except OverflowError:  # a whole number too large for a float, for instance an identifier
            self.add(str(value), times)


class DistinctTexts:
    """The number of distinct texts, compared by 64-bit hashes."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._hashes = array("q")
        self._distinct = 0
        """The number of distinct hashes at the last removal of duplicates."""

    def add(self, text: str) -> None:
        """Add one text."""
        self._recent.add(hash(text))
        if len(self._recent) >= _MOST_RECENT:
            self._store_recent()

    def merge(self, other: DistinctTexts) -> None:
        """Add the texts of another object."""
        other._store_recent()
        self._hashes.extend(other._hashes)
        self._remove_duplicates()

    def __len__(self) -> int:
        self._store_recent()
        self._remove_duplicates()
        return len(self._hashes)

    def _store_recent(self) -> None:
        self._hashes.extend(self._recent)
        self._recent.clear()
        if len(self._hashes) > 2 * self._distinct + _MOST_RECENT:
            self._remove_duplicates()

    def _remove_duplicates(self) -> None:
        """Remove duplicates from one part after another, so that no large set is needed."""
        distinct = array("q")
        parts = min(16, 1 + len(self._hashes) // _MOST_RECENT)
        for part in range(parts):
            distinct.extend({key for key in self._hashes if key % parts == part})
        self._hashes, self._distinct = distinct, len(distinct)


def _round(value: float) -> float:
    """Round to two places, or to three below 1."""
    return round(float(value), 2 if abs(value) >= 1 else 3)


def _request_figures(params: Row) -> dict[str, float | None]:
    conversation, tools, temperature = params.get("input"), params.get("tools"), params.get("temperature")
    return {
        TOOLS: None if tools is None else len(tools),
        WORDS: len(json.dumps(params).split()),
        TURNS: _turns(conversation),
        TEMPERATURE: temperature,
    }


def _turns(conversation: Any) -> int | None:
    """The number of user messages; None without one."""
    turns = 1 if isinstance(conversation, str) else sum(item.get("role") == "user" for item in conversation)
    return turns or None


_MOST_RECENT: Final = 1 << 16
_NO_COLUMNS: Final = frozenset({keys.PARAMS, keys.AGENT_REF})
