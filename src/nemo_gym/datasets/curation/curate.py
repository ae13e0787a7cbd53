"""Curates a file of tasks on the CPU, row by row."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import heappush, heappushpop
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Self

import msgspec
import numpy as np

from nemo_gym.datasets.curation.near import SHINGLE, NearDuplicates, Signature, signatures
from nemo_gym.datasets.curation.ngrams import MOST_WORDS, Benchmark, Numbers, Tokens, ngrams
from nemo_gym.datasets.curation.output import AgainstReport, Removal, Report, open_output
from nemo_gym.datasets.curation.quality import Limits, problem
from nemo_gym.datasets.curation.task_text import TaskText, rest_digest, row_name, task_text
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode_row, open_regular
from nemo_gym.wire.row_identity import file_lines, line_at
from nemo_gym.wire.task import Row


class CurateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What stays."""

    near: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = 0.8
    """The Jaccard similarity, of the sets of three words in a row, from which texts are near duplicates; None
    keeps them all."""
    by_text: bool = False
    """Whether rows with the same or nearly the same text are duplicates also with different other columns."""
    fields: tuple[str, ...] = ()
    """The columns whose text is compared, in place of the input."""
    ngram: Annotated[int, msgspec.Meta(ge=1)] = MOST_WORDS
    """The words that a row may not have in common with a benchmark."""
    limits: Limits = Limits()


class Line(NamedTuple):
    """A row and what it says."""

    number: int
    offset: int
    line: bytes
    row: Row
    text: TaskText

    @property
    def name(self) -> str | int:
        return row_name(self.row, self.number)


def curate(
    source: Path,
    target: Path,
    settings: CurateSettings,
    against: Sequence[tuple[Benchmark, AgainstReport]] = (),
    removed: Path | None = None,
) -> Report:
    """Write the rows that stay, unchanged and in their order.

    Args:
        removed: the file for the rows that don't stay, with their reasons.

    Raises:
        UsageError: the file is missing or empty, or a library is missing.
        DataError: a line is not a JSON object, or lacks a column.
    """
    benchmarks = [benchmark for benchmark, _ in against]
    with (
        open_output(source, target, removed, msgspec.to_builtins(settings)) as output,
        Duplicates(source, settings) as duplicates,
    ):
        output.report.against = [report for _, report in against]
        for lines in in_batches(read_lines(source, settings.fields)):
            judged: list[tuple[Line, Removal | None, Tokens | None]] = []
            for line in lines:
                tokens = None if line.text.text is None else Tokens.of(line.text.text)
                removal = tokens and _unfit(line.text, tokens, settings.limits)
                judged.append((line, removal or find_leak(line.text, benchmarks), tokens))
            fit = [(line, tokens) for line, removal, tokens in judged if removal is None and tokens]
            found = duplicates.judge(fit)
            for line, removal, tokens in judged:
                if removal := removal or found.get(line.number):
                    output.remove(line.line, line.number, line.name, line.text.whole, removal)
                else:
                    output.keep(line.line)
                    output.report.without_text += tokens is None
        output.report.same_text, output.report.near_text = duplicates.same_text, duplicates.near_text
        check_rows(source, output.report)
    return output.report


def check_rows(source: Path, report: Report) -> None:
    """Check that there was something.

    Raises:
        UsageError: there was nothing.
    """
    if not report.rows:
        raise UsageError(f"{source}: there is nothing in it")


def read_lines(path: Path, fields: Sequence[str] = ()) -> Iterator[Line]:
    """Every row of a file, lazily; blank lines are left out.

    Raises:
        UsageError: there is no such file.
        DataError: a line is not a JSON object, or lacks one of the fields.
    """
    for number, offset, line in file_lines(path):
        if not line.isspace():
            yield _read_line(path, number, offset, line, fields)


def in_batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """The rows in groups, because MinHash is fastest for many at once."""
    while batch := list(islice(lines, _BATCH)):
        yield batch


def find_leak(text: TaskText, benchmarks: Sequence[Benchmark]) -> Removal | None:
    """The removal of a row that shares a passage with a benchmark."""
    words = Tokens.of(text.whole).words if benchmarks else None
    for benchmark in benchmarks:
        if words and (leak := benchmark.find(words)):
            return Removal("leak", f"{benchmark.name}, row {leak.row + 1}: {leak.passage}")
    return None


class Duplicates:
    """Finds the rows that are the same as an earlier row, or nearly so."""

    def __init__(self, source: Path, settings: CurateSettings) -> None:
        self._source = source
        self._settings = settings
        self._first: dict[bytes, tuple[int, bytes]] = {}
        """The line, and the rest, of the first row with each text."""
        self._others: dict[bytes, int] = {}
        """The lines of later rows with the same text and another rest."""
        self._offsets: dict[int, int] = {}
        self._near = None if settings.near is None else NearDuplicates(settings.near, self._shingles_at)
        self._alike = None if settings.near is None else NearDuplicates(settings.near, most=1, bands=8)
        """Rows whose other columns may differ, only to count them. Their number is one for those columns."""
        self._templates = _templates(source, settings.fields) if self._near else {}
        self._file = open_regular(source)
        self.same_text = 0
        self.near_text = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def judge(self, lines: Sequence[tuple[Line, Tokens]]) -> dict[int, Removal]:
        """The duplicates among some rows and all earlier ones, by line."""
        if self._near:
            sets = [self._shingles(line.text, tokens) for line, tokens in lines]
            minima = signatures(sets)
        else:
            sets, minima = [], None
        found: dict[int, Removal] = {}
        for place, (line, _) in enumerate(lines):
            shingles = None if minima is None else (sets[place], minima[place])
            if removal := self._judge(line, shingles):
                found[line.number] = removal
        return found

    def _judge(self, line: Line, shingles: tuple[Numbers, Signature] | None) -> Removal | None:
        key, rest = line.text.key, rest_digest(line.row, self._settings.fields)
        if first := self._first.get(key):
            number, first_rest = first
            if self._settings.by_text or rest == first_rest:
                return Removal("duplicate", of=number)
            if earlier := self._others.get(key + rest):
                return Removal("duplicate", of=earlier)
            self._others[key + rest] = line.number
            self.same_text += 1
            return None
        if self._near and shingles and len(shingles[0]):
            own, minima = shingles
            group = line.text.frame if self._settings.by_text else _joined(line.text.frame, rest)
            if neighbour := self._near.find(minima, group, own):
                return Removal("near_duplicate", f"similarity {neighbour.similarity:.2f}", neighbour.number)
            self._offsets[line.number] = line.offset
            self._near.add(line.number, minima, group)
            if self._alike and not self._settings.by_text:
                mark = int.from_bytes(rest[:8])
                neighbour = self._alike.find(minima, line.text.frame, own)
                self.near_text += neighbour is not None and neighbour.number != mark
                self._alike.add(mark, minima, line.text.frame)
        self._first[key] = (line.number, rest)
        return None

    def _shingles(self, text: TaskText, tokens: Tokens) -> Numbers:
        return _without(_shingles(tokens), self._templates.get(text.frame))

    def _shingles_at(self, number: int) -> Numbers:
        """The shingles of an earlier row, which is read again."""
        offset = self._offsets[number]
        line = _read_line(self._source, number, offset, line_at(self._file, offset), self._settings.fields)
        return self._shingles(line.text, Tokens.of(line.text.text or ""))


def _joined(one: bytes, other: bytes) -> bytes:
    return blake2b(one + other, digest_size=16).digest()


def _unfit(text: TaskText, tokens: Tokens, limits: Limits) -> Removal | None:
    found = problem(text.text or "", tokens, limits)
    return Removal(*found) if found else None


def _read_line(path: Path, number: int, offset: int, line: bytes, fields: Sequence[str]) -> Line:
    row = decode_row(line, path, number)
    try:
        return Line(number, offset, line, row, task_text(row, fields))
    except DataError as error:
        raise DataError(f"{path}:{number}: {error}") from None


def _shingles(tokens: Tokens) -> Numbers:
    return np.unique(ngrams(tokens.numbers, min(SHINGLE, max(len(tokens.numbers), 1))))


def _without(shingles: Numbers, template: Numbers | None) -> Numbers:
    return shingles if template is None else np.setdiff1d(shingles, template, assume_unique=True)


def _templates(path: Path, fields: Sequence[str]) -> dict[bytes, Numbers]:
    """The shingles of the prompt's template in each frame: those of at least half of its rows in a sample. If
    they counted, short questions in a long template would all be near duplicates."""
    counts: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    sizes: Counter[bytes] = Counter()
    texts = [_read_line(path, number, offset, line, fields).text for number, offset, line in _sample(path)]
    for text in {text.key: text for text in texts}.values():
        if text.text is not None:
            sizes[text.frame] += 1
            counts[text.frame].update(_shingles(Tokens.of(text.text)).tolist())
    return {
        frame: np.array(sorted(one for one, count in counts[frame].items() if 2 * count >= size), np.uint64)
        for frame, size in sizes.items()
        if size >= _LEAST_ROWS
    }


def _sample(path: Path) -> list[tuple[int, int, bytes]]:
    """The rows of a file, at most 2,000 of them; always the same ones."""
    heap: list[tuple[int, int, int, bytes]] = []
    for number, offset, line in file_lines(path):
        if line.isspace():
            continue
        entry = (-zlib.crc32(number.to_bytes(8, "little")), number, offset, line)
        if len(heap) < _SAMPLE:
            heappush(heap, entry)
        elif entry > heap[0]:
            heappushpop(heap, entry)
    return [entry[1:] for entry in sorted(heap, key=lambda entry: entry[1])]


_BATCH: Final = 256
_SAMPLE: Final = 2000
_LEAST_ROWS: Final = 50
"""With fewer rows in a frame, a template can't be told from duplicates."""
