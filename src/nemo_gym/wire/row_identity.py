"""Reads the identity (task, repeat) of the rows in a run's files, which another program may have written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError
from nemo_gym.wire.jsonl import open_regular, without_mark

TaskIndex = Annotated[int, msgspec.Meta(ge=0)]
MOST_REPEATS: Final = 1 << 20
RolloutIndex = Annotated[int, msgspec.Meta(ge=0, lt=MOST_REPEATS)]


_STAMP_KEYS: Final = {
    "task_index": keys.TASK_INDEX,
    "rollout_index": keys.ROLLOUT_INDEX,
    "failure_class": keys.FAILURE_CLASS,
    "failure_terminal": keys.FAILURE_TERMINAL,
    "failure_http_status": keys.FAILURE_HTTP_STATUS,
}


class Stamp(msgspec.Struct, rename=_STAMP_KEYS):
    """The identity and the result of a row, read without decoding the rest."""

    task_index: TaskIndex
    rollout_index: RolloutIndex
    reward: float | None = None
    failure_class: str | None = None
    failure_terminal: bool = False
    failure_http_status: int | None = None


def read_stamp(line: bytes, path: Path, number: int, *, is_checked: bool = False) -> Stamp:
    """The identity and the result of a row.

    Args:
        is_checked: the line was read before, or written just now, so its keys are not checked again.

    Raises:
        DataError: the line is not such a row.
    """
    try:
        stamp = _decoder.decode(line)
        twice = None if is_checked else repeated_key(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        missing = f"not a row of a run: {error}"
        raise DataError(f"{path}:{number}: {missing.replace('$.', '')}") from None
    if twice is not None:
        raise DataError(f"{path}:{number}: not a row of a run: the key {twice!r} is there twice")
    return stamp


def repeated_key(line: bytes) -> str | None:
    """A key that a JSON object has more than once, so that readers disagree about its value; None without
    one.

    An object without spaces is as long as its keys and values together; only others are read key by key.

    Raises:
        msgspec.DecodeError: it is not an object.
    """
    raws = _raw_decoder.decode(line)
    each = sum(map(len, raws)) + sum(len(memoryview(raw)) for raw in raws.values())
    if each + 4 * len(raws) + 1 == len(line.strip()):
        return None
    pairs: list[tuple[str, object]] = json.loads(line, object_pairs_hook=list, parse_int=str)
    names = set[str]()
    for name, _ in pairs:
        if name in names:
            return name
        names.add(name)
    return None


_raw_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decoder: Final = msgspec.json.Decoder(Stamp)


class KeyedLine(msgspec.Struct, frozen=True, gc=False):
    """One row of a file: its identity and result, its bytes, and their place."""

    stamp: Stamp
    number: int
    """The number of the line, from 1."""
    offset: int
    """In bytes, from the start of the file."""
    line: bytes
    path: Path

    @property
    def name(self) -> str:
        """`task 3, repeat 0`."""
        return f"task {self.stamp.task_index}, repeat {self.stamp.rollout_index}"

    @property
    def place(self) -> str:
        """`results/run.jsonl:12`."""
        return f"{self.path}:{self.number}"


class Mark(NamedTuple):
    """A place between two lines of a file: how many lines and bytes are before it."""

    lines: int = 0
    bytes: int = 0


_START: Final = Mark()


def keyed_lines(path: Path, start: Mark = _START) -> Iterator[KeyedLine]:
    """Every row of a file that any program may have written, lazily. Blank lines and a torn last line are
    left out; a last row without its newline counts.

    Raises:
        UsageError: there is no such file.
        DataError: a line is not a row of a run.
    """
    for number, offset, line in file_lines(path, start):
        if line.isspace():
            continue
        try:
            stamp = read_stamp(line, path, number)
        except DataError:
            if line.endswith(b"\n"):
                raise
            return
        yield KeyedLine(stamp, number, offset, line, path)


def journal_lines(path: Path, *, is_checked: bool = False) -> Iterator[KeyedLine]:
    """Every row of a file to which a run appends, lazily. A last line without its newline is torn and left
    out, because resuming cuts it off; a missing file has no rows.

    Args:
        is_checked: as for `read_stamp`.

    Raises:
        UsageError: the file can't be read.
        DataError: a whole line is not a row of a run.
    """
    offset = 0
    for number, line in whole_lines(path):
        yield KeyedLine(read_stamp(line, path, number, is_checked=is_checked), number, offset, line, path)
        offset += len(line)


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every line of a file with its number from 1, lazily, without a torn last one; a missing file has none.

    Raises:
        UsageError: the file can't be read.
    """
    if not path.exists():
        return
    with open_regular(path) as file:
        for numbered in enumerate(file, start=1):
            if numbered[1].endswith(b"\n"):
                yield numbered


def file_lines(path: Path, start: Mark = _START) -> Iterator[tuple[int, int, bytes]]:
    """Every line of a file from a mark on, lazily: its number from 1, its offset in bytes, and itself. A byte
    order mark before the first line is left out.

    Raises:
        UsageError: there is no such file.
    """
    lines, offset = start
    with open_regular(path) as file:
        file.seek(offset)
        for number, line in enumerate(file, start=lines + 1):
            if number == 1 and (row := without_mark(line)) is not line:
                offset, line = offset + len(line) - len(row), row
            yield number, offset, line
            offset += len(line)


def line_at(file: BinaryIO, offset: int) -> bytes:
    """The line of a file that begins at an offset."""
    file.seek(offset)
    return file.readline()


class Keys:
    """A set of (task, repeat) that needs little memory for many repeats of a task.

    Args:
        masks: by task index, a bit for each repeat in the set.
    """

    def __init__(self, masks: Mapping[int, int] | None = None) -> None:
        self._masks = dict(masks or {})
        self._count = sum(mask.bit_count() for mask in self._masks.values())

    def add(self, stamp: Stamp) -> bool:
        """Add the identity of a row; whether it is new."""
        return self.put(stamp.task_index, stamp.rollout_index)

    def put(self, task: int, repeat: int) -> bool:
        """Add an identity; whether it is new."""
        mask = self._masks.get(task, 0)
        if mask >> repeat & 1:
            return False
        self._masks[task] = mask | 1 << repeat
        self._count += 1
        return True

    def has(self, task: int, repeat: int) -> bool:
        """Whether an identity is in the set."""
        return bool(self._masks.get(task, 0) >> repeat & 1)

    def __contains__(self, stamp: Stamp) -> bool:
        return self.has(stamp.task_index, stamp.rollout_index)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for task in sorted(self._masks):
            yield from ((task, repeat) for repeat in _bits(self._masks[task]))

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        return len(self._masks)

    def without(self, others: Keys) -> Keys:
        """The identities that are not in `others`."""
        result = Keys()
        for task, mask in self._masks.items():
            if rest := mask & ~others._masks.get(task, 0):
                result._masks[task] = rest
                result._count += rest.bit_count()
        return result

    def named(self, most: int = 5) -> str:
        """The first identities as text: `task 1 repeat 0, task 2 repeat 0, ...`."""
        first = ", ".join(f"task {task} repeat {repeat}" for task, repeat in islice(self, most))
        return f"{first}, ..." if len(self) > most else first

    def with_task_of(self, others: Keys) -> int:
        """How many of the tasks are in `others` too."""
        return len(self._masks.keys() & others._masks.keys())


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
