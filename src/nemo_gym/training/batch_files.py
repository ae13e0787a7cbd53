"""The batches of a rollout service on disk: what was ordered, and each group once it is finished."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from nemo_gym.runs.journal import AppendFile
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode, open_regular

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ORDER, _GROUPS, _CANCELLED = ".order.json", ".groups.jsonl", ".cancelled"


T = TypeVar("T")


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The tasks of a batch, which its client has named."""

    id: str
    tasks: list[dict[str, Any]]
    repeats: int = 1


class FinishedGroup(msgspec.Struct):
    """All repeats of a task, a line of the groups file. Its number in the file, from 1, is its `seq`."""

    id: str
    """The batch and the number of the group: no other group has it."""
    group: int
    """The place of its task in the order, from 0."""
    rollouts: list[dict[str, Any]]
    """The rows, in the order of their repeats."""


def check_id(id: str) -> str:
    """`id` itself when it may name a batch.

    Raises:
        UsageError: it has other characters, or too many.
    """
    if not _ID.fullmatch(id):
        raise UsageError(f"id {id[:120]!r}: expected up to 100 letters, digits, '.', '_' and '-'")
    return id


class BatchFiles:
    """The files of one batch.

    Args:
        folder: of the service.
    """

    def __init__(self, folder: Path, id: str) -> None:
        self._base = folder / check_id(id)
        self._journal: AppendFile | None = None
        self._ends = [0]
        """Where each group ends in the file, after a 0."""

    def create(self, order: Order) -> None:
        """Take the files of a new batch, without what a killed deletion left of them, and make its order
        durable.

        Raises:
            UsageError: another service writes to them.
            WriteFailed: the order can't be written; nothing is left.
        """
        self._journal = AppendFile(self._path(_GROUPS))
        self.delete()
        self.open()
        try:
            with whole_file(self._path(_ORDER)) as file:
                file.write(encode(order))
        except BaseException:
            self.delete()
            raise

    def order(self) -> Order:
        """The order.

        Raises:
            DataError: the file is not an order.
        """
        path = self._path(_ORDER)
        return _decoded(path.read_bytes(), str(path), Order)

    def open(self) -> set[int]:
        """Take the groups file for writing; the numbers of the finished groups.

        Raises:
            UsageError: another service writes to it.
            DataError: a line is not a group.
        """
        path = self._path(_GROUPS)
        self._journal = AppendFile(path)
        self._ends, numbers = [0], set[int]()
        with open_regular(path) as file:
            for line in file:
                numbers.add(_decoded(line, f"{path}:{len(self._ends)}", _Number).group)
                self._ends.append(self._ends[-1] + len(line))
        return numbers

    @property
    def count(self) -> int:
        """The number of groups in the file."""
        return len(self._ends) - 1

    def append(self, group: FinishedGroup) -> None:
        """Make a group durable."""
        assert self._journal is not None
        line = encode(group) + b"\n"
        self._journal.write(line)
        self._ends.append(self._ends[-1] + len(line))

    def line(self, seq: int) -> bytes:
        """The line of a group by its number in the file, from 1."""
        with open_regular(self._path(_GROUPS)) as file:
            file.seek(self._ends[seq - 1])
            return file.read(self._ends[seq] - self._ends[seq - 1])

    def cancel(self) -> None:
        """Note that the batch is cancelled."""
        self._path(_CANCELLED).touch()

    @property
    def is_cancelled(self) -> bool:
        return self._path(_CANCELLED).exists()

    def close(self) -> None:
        """Release the groups file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def delete(self) -> None:
        """Delete every file of the batch."""
        self.close()
        for ending in (_ORDER, _CANCELLED, _GROUPS):
            self._path(ending).unlink(missing_ok=True)

    def _path(self, ending: str) -> Path:
        return self._base.with_name(self._base.name + ending)


class VersionFile:
    """The file of the policy version, in the folder of a service."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "weight_version.json"

    def read(self) -> int | None:
        """The version; None when nobody has set it.

        Raises:
            DataError: the file is not a version.
        """
        if not self._path.exists():
            return None
        return _decoded(self._path.read_bytes(), str(self._path), int)

    def write(self, version: int) -> None:
        """Make a version durable."""
        with whole_file(self._path) as file:
            file.write(encode(version))


def batches_in(folder: Path) -> list[str]:
    """The ids of the batches in a folder."""
    return sorted(path.name.removesuffix(_ORDER) for path in folder.glob(f"*{_ORDER}"))


class _Number(msgspec.Struct):
    group: int


def _decoded(data: bytes, place: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{place}: not of a rollout service: {error}") from None
