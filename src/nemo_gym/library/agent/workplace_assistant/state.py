"""The office of one rollout: the shared data, and the rollout's own changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import ToolError
from nemo_gym.library.agent.workplace_assistant.data import Row, base, record_id
from nemo_gym.verifiers.end_state import folded

CASE_SENSITIVE: Final = frozenset({"status", "list_name", "board"})
"""Columns with fixed spellings; in the others upper and lower case are the same."""


class Table:
    """Records by id. A table stores only its changes, so a new table needs no memory."""

    __slots__ = ("_base", "_changes", "_last", "key")

    def __init__(self, key: str, rows: Mapping[str, Row]) -> None:
        self.key = key
        """The column with the id."""
        self._base = rows
        self._changes: dict[str, Row | None] = {}
        """New and changed records by id; None for a record of the shared data that was removed."""
        self._last = len(rows)

    def __getitem__(self, id: str) -> Row:
        """The record with this id.

        Raises:
            ToolError: there is no such record.
        """
        row = self._changes[id] if id in self._changes else self._base.get(id)
        if row is None:
            raise ToolError(
                f"No record has the {self.key} {id[:40]!r}. Ids have eight digits, like '00000042'."
            )
        return row

    def __iter__(self) -> Iterator[Row]:
        for id, row in self._base.items():
            current = self._changes.get(id, row) if self._changes else row
            if current is not None:
                yield current
        for id, row in self._changes.items():
            if row is not None and id not in self._base:
                yield row

    def add(self, values: Row) -> str:
        """Append a record and return its id, which is one more than the last id."""
        self._last += 1
        id = record_id(self._last)
        self._changes[id] = {self.key: id, **values}
        return id

    def update(self, id: str, field: str, value: str) -> None:
        """Change one column of a record."""
        self._changes[id] = {**self[id], field: value}

    def remove(self, id: str) -> None:
        """Remove a record. The last id is used again when its record is a new one."""
        if self[id][self.key] in self._base:
            self._changes[id] = None
            return
        del self._changes[id]
        while self._last > len(self._base) and record_id(self._last) not in self._changes:
            self._last -= 1

    def difference(self) -> dict[str, Row | None]:
        """The records that differ from the shared data; None for a removed one. Equal tables have equal
        differences."""
        rows = {id: _fold(row) for id, row in self._changes.items()}
        return {id: row for id, row in rows.items() if row != _fold(self._base.get(id))}


class Office:
    """The tables of one rollout."""

    __slots__ = ("calendar_events", "customers", "emails", "plots", "project_tasks")

    def __init__(self) -> None:
        start = base()
        self.emails = Table("email_id", start.emails)
        self.calendar_events = Table("event_id", start.calendar_events)
        self.project_tasks = Table("task_id", start.project_tasks)
        self.customers = Table("customer_id", start.customers)
        self.plots = Table("plot_id", {})
        """Charts of the analytics data; the data itself never changes."""

    def differing_tables(self, other: Office) -> list[str]:
        """The names of the tables that are not the same in both offices."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in self.__slots__}
        return [name for name, (mine, yours) in pairs.items() if mine.difference() != yours.difference()]


def office_of(session: Session) -> Office:
    """The office of this rollout."""
    return session.state["office"]


def _fold(row: Row | None) -> Row | None:
    return None if row is None else folded(row, case_sensitive=CASE_SENSITIVE)
