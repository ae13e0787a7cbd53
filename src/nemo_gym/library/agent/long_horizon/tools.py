"""The tools of the office. A call that can't be carried out changes nothing."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from nemo_gym import Session, ToolError, tool
from nemo_gym.library.agent.long_horizon.world import MAX_RECORDS, Record, World, next_id

Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
Hour = Literal["08:00", "09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00", "17:00"]
Room = Literal["Birch", "Cedar", "Maple", "Rowan", "Willow"]
Board = Literal["design", "platform", "sales", "support"]
Status = Literal["lead", "trial", "active", "paused", "lost"]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_MOST: Final = 8
"""The most records that a search shows."""


class OfficeTools:
    """The tools, as methods of an environment whose sessions hold a world."""

    @tool
    def search(
        self, session: Session, table: Literal["people", "meetings", "tickets", "customers"], text: Line
    ) -> str:
        """Find records of which a field contains a text."""
        world: World = session.state["world"]
        low = text.lower()
        hits = [
            {"id": key, **record}
            for key, record in world[table].items()
            if any(low in value.lower() for value in (key, *record.values()))
        ]
        return msgspec.json.encode({"count": len(hits), "records": hits[:_MOST]}).decode()

    @tool
    def book_meeting(
        self, session: Session, title: Line, day: Day, hour: Hour, guest: Line, room: Room
    ) -> str:
        """Book a meeting; `guest` is the id of a person."""
        _record(session, "people", guest)
        record = {"title": title, "day": day, "hour": hour, "guest": guest, "room": room}
        return _add(session, "meetings", record)

    @tool
    def move_meeting(self, session: Session, meeting: Line, day: Day, hour: Hour) -> str:
        """Move a meeting, which is named by its id."""
        return _change(session, "meetings", meeting, day=day, hour=hour)

    @tool
    def cancel_meeting(self, session: Session, meeting: Line) -> str:
        """Cancel a meeting, which is named by its id."""
        _record(session, "meetings", meeting)
        del session.state["world"]["meetings"][meeting]
        return f"{meeting} is cancelled."

    @tool
    def create_ticket(self, session: Session, title: Line, board: Board, owner: Line) -> str:
        """Create an open ticket; `owner` is the id of a person."""
        _record(session, "people", owner)
        return _add(session, "tickets", {"title": title, "board": board, "owner": owner, "status": "open"})

    @tool
    def assign_ticket(self, session: Session, ticket: Line, owner: Line) -> str:
        """Give a ticket to a person; both are named by their ids."""
        _record(session, "people", owner)
        return _change(session, "tickets", ticket, owner=owner)

    @tool
    def close_ticket(self, session: Session, ticket: Line) -> str:
        """Close a ticket, which is named by its id."""
        return _change(session, "tickets", ticket, status="closed")

    @tool
    def set_customer_status(self, session: Session, customer: Line, status: Status) -> str:
        """Change the status of a customer, who is named by the id."""
        return _change(session, "customers", customer, status=status)

    @tool
    def send_email(self, session: Session, to: Line, subject: Line, text: Line) -> str:
        """Send an email; `to` is the id of a person."""
        _record(session, "people", to)
        return _add(session, "emails", {"to": to, "subject": subject, "text": text})


def _record(session: Session, table: str, key: str) -> Record:
    world: World = session.state["world"]
    if key not in world[table]:
        raise ToolError(f"There is no record {key!r} in {table}. Use `search` to find ids.")
    return world[table][key]


def _change(session: Session, table: str, key: str, **fields: str) -> str:
    record = _record(session, table, key)
    if all(record[name] == value for name, value in fields.items()):
        raise ToolError(f"{key} is like that already.")
    record.update(fields)
    return f"{key} is changed."


def _add(session: Session, table: str, record: Record) -> str:
    world: World = session.state["world"]
    if len(world[table]) >= MAX_RECORDS:
        raise ToolError(f"{table} is full.")
    key = next_id(world, table)
    world[table][key] = record
    return f"The id is {key}."
