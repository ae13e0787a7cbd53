"""The batches of a rollout service on disk: what was ordered, and each group once it is finished."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.runs.journal import AppendFile
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode, open_regular, read_rows

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ORDER, _GROUPS, _CANCELLED = ".order.json", ".groups.jsonl", ".cancelled"


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

    def write_order(self, order: Order) -> None:
        """Make an order durable."""
        with whole_file(self._path(_ORDER)) as file:
            file.write(encode(order))

    def order(self) -> Order | None:
        """The order; None when there is none, which a kill may have kept from being written."""
        try:
            return msgspec.json.decode(self._path(_ORDER).read_bytes(), type=Order)
        except FileNotFoundError:
            return None

    def finished(self) -> list[int]:
        """The numbers of the finished groups, in the order of the file, without a torn last line."""
        return [] if self._journal is None else [row["group"] for _, row in read_rows(self._path(_GROUPS))]

    def open(self) -> None:
        """Take the groups file for writing.

        Raises:
            UsageError: another service writes to it.
        """
        self._journal = AppendFile(self._path(_GROUPS))

    def append(self, group: FinishedGroup) -> None:
        """Make a group durable."""
        assert self._journal is not None
        self._journal.write(encode(group) + b"\n")

    def lines(self, after: int, until: int) -> list[bytes]:
        """The lines of the groups file with numbers above `after`, up to `until`."""
        with open_regular(self._path(_GROUPS)) as file:
            return list(islice(file, after, until))

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


def batches_in(folder: Path) -> list[str]:
    """The ids of the batches in a folder."""
    return sorted(path.name.removesuffix(_ORDER) for path in folder.glob(f"*{_ORDER}"))
