"""What the columns of a data set hold, in figures. Memory does not grow with the rows, except
for 8 bytes for every different text."""

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
    """The figures of rows that are taken in one by one."""

    def __init__(self) -> None:
        self.examples = 0
        self._request = {name: Numbers() for name in (TOOLS, WORDS, TURNS, TEMPERATURE)}
        self._columns: dict[str, Column] = {}

    def add(self, row: Row, times: int = 1) -> None:
        """Take in a row that counts `times`."""
        self.examples += times
        for name, value in _request_figures(row[keys.PARAMS]).items():
            if value is not None:
                self._request[name].add(value, times)
        for name, value in row.items():
            if name not in _NO_COLUMNS:
                self._column(name).add(value, times)

    def merge(self, other: Statistics) -> None:
        """Take in all rows of another, which counts on unchanged."""
        self.examples += other.examples
        for name, numbers in other._request.items():
            self._request[name].merge(numbers)
        for name, column in other._columns.items():
            self._column(name).merge(column)

    def figures(self) -> Figures:
        """By name; a column of the rows that is called like another figure takes its place, and one that says
        nothing is left out."""
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
        """Take in a number that counts `times`."""
        self._join(times, value, 0.0, value, value)

    def merge(self, other: Numbers) -> None:
        """Take in all numbers of another."""
        self._join(other.count, other.mean, other._squares, other.least, other.most)

    @property
    def deviation(self) -> float:
        """The sample standard deviation; 0 for a single number."""
        return math.sqrt(self._squares / (self.count - 1)) if self.count > 1 else 0.0

    def figures(self) -> Figures:
        """Rounded as the original package rounds them; zeros without a number."""
        return {
            "Total # non-null values": self.count,
            "Average": rounded(self.mean),
            "Min": rounded(self.least if self.count else 0.0),
            "Max": rounded(self.most if self.count else 0.0),
            "Standard deviation": rounded(self.deviation),
        }

    def _join(self, count: int, mean: float, squares: float, least: float, most: float) -> None:
        if not count:
            return
        together = self.count + count
        delta = mean - self.mean
        self.mean += delta * (count / together)
        self._squares += squares + delta * delta * (self.count * (count / together))
        self.count = together
        self.least = min(self.least, least)
        self.most = max(self.most, most)


class Column:
    """One column: numbers, truth values as 0 and 1, texts, and lists of these one level deep. With both
    numbers and texts it is reported as texts."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._texts = 0
        self._different = Different()

    def add(self, value: Any, times: int = 1) -> None:
        """Take in what one row has; null and objects say nothing."""
        match value:
            case str():
                self._texts += times
                self._different.add(value)
            case int() | float():
                self._add_number(value, times)
            case list():
                for item in cast("list[Any]", value):
                    if not isinstance(item, list):
                        self.add(item, times)
            case _:
                pass

    def merge(self, other: Column) -> None:
        """Take in what another has."""
        self._numbers.merge(other._numbers)
        self._texts += other._texts
        self._different.merge(other._different)

    def figures(self) -> Figures:
        """The figures of the column; empty when it has no values."""
        if self._texts:
            return {"unique_count": len(self._different), "total_count": self._texts}
        return self._numbers.figures() if self._numbers.count else {}

    def _add_number(self, value: float, times: int) -> None:
        try:
            self._numbers.add(float(value), times)
        except OverflowError:  # a whole number that no float holds, for instance an identifier
            self.add(str(value), times)


class Different:
    """The number of different texts, compared by 64-bit hashes."""

    def __init__(self) -> None:
        self._fresh: set[int] = set()
        self._kept = array("q")
        self._clean = 0

    def add(self, text: str) -> None:
        """Take in one text."""
        self._fresh.add(hash(text))
        if len(self._fresh) >= _FRESH:
            self._keep()

    def merge(self, other: Different) -> None:
        """Take in those of another."""
        other._keep()
        self._kept.extend(other._kept)
        self._tidy()

    def __len__(self) -> int:
        self._keep()
        self._tidy()
        return len(self._kept)

    def _keep(self) -> None:
        self._kept.extend(self._fresh)
        self._fresh.clear()
        if len(self._kept) > 2 * self._clean + _FRESH:
            self._tidy()

    def _tidy(self) -> None:
        """Drop what is there twice, a part at a time so that no large set is needed."""
        tidied = array("q")
        parts = min(16, 1 + len(self._kept) // _FRESH)
        for part in range(parts):
            tidied.extend({key for key in self._kept if key % parts == part})
        self._kept, self._clean = tidied, len(tidied)


def rounded(value: float) -> float:
    """To two places, below 1 to three."""
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
    """None without a user."""
    turns = 1 if isinstance(conversation, str) else sum(item.get("role") == "user" for item in conversation)
    return turns or None


_FRESH: Final = 1 << 16
_NO_COLUMNS: Final = frozenset({keys.PARAMS, keys.AGENT_REF})
