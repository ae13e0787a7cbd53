"""Draws the requests of a week, with the calls that fulfil them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Final

import msgspec

from nemo_gym.library.agent.long_horizon.world import BOARDS, DAYS, HOURS, ROOMS, STATUSES, World, new_world

SIZES: Final = (
    (2, 8, 14, 18, 20),
    (8, 11, 13, 15, 15),
    (12, 12, 12, 13, 13),
    (13, 13, 13, 13, 13),
    (16,) * 5,
)
"""The number of errands on each day, by level."""
_PROJECTS: Final = ("Heron", "Kestrel", "Lynx", "Otter", "Puffin", "Marten")


class Call(msgspec.Struct):
    """A tool call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


class Day(msgspec.Struct):
    """The requests of a day, which come after the final answer of the day before."""

    request: str
    calls: list[Call]
    """Calls that lead from the state in the morning to the right one in the evening."""
    answer: str | None = None
    """The last line of the day's final answer, if the request asks a question."""


@dataclass
class Week:
    """A week in the making: the office, the leads of the projects so far, and what no errand has touched."""

    rng: random.Random
    level: int
    world: World
    leads: dict[str, str] = field(default_factory=dict[str, str])
    fresh: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    number: int = 0

    def person(self) -> tuple[str, str]:
        """Words for a person and the id; often the words are a project that an earlier day named."""
        if self.leads and self.rng.random() < 0.5:
            project = self.rng.choice(sorted(self.leads))
            return f"the lead of {project}", self.leads[project]
        key = self.rng.choice(sorted(self.world["people"]))
        return self.words("people", key), key

    def words(self, table: str, key: str) -> str:
        """Words for a record; at level 0 with the id."""
        record = self.world[table][key]
        name = record.get("name") or f'"{record["title"]}"'
        return f"{name} ({key})" if self.level == 0 else name

    def take(self, table: str) -> tuple[str, str]:
        """Words for a record that no errand has touched, and its id."""
        key = self.fresh[table].pop()
        return self.words(table, key), key

    def title(self) -> str:
        """A title that no other errand of the week has."""
        self.number += 1
        return f"{self.rng.choice(_SUBJECTS)} {self.rng.randrange(100, 1000)}-{self.number}"


def draw_week(rng: random.Random, world_number: int, level: int) -> list[Day]:
    """The five days of a week in an office."""
    world = new_world(world_number)
    fresh = {
        "meetings": sorted(world["meetings"]),
        "tickets": sorted(key for key, one in world["tickets"].items() if one["status"] == "open"),
        "customers": sorted(world["customers"]),
    }
    for keys in fresh.values():
        rng.shuffle(keys)
    week = Week(rng, level, world, fresh=fresh)
    return [_draw_day(week, day) for day in range(len(DAYS))]


def _draw_day(week: Week, day: int) -> Day:
    lines = [f"It is {DAYS[day]}."]
    errands = [_errand(week) for _ in range(SIZES[week.level][day])]
    facts = _facts(week, day)
    lines += [f"{number}. {text}" for number, (text, _) in enumerate(errands, 1)]
    answer = None
    if week.level and week.leads and day:
        project = week.rng.choice(sorted(week.leads))
        answer = week.world["people"][week.leads[project]]["email"]
        lines.append(
            f"As the last line of your answer, write nothing but the email address of the lead of {project}."
        )
    return Day("\n".join([*lines, *facts]), [call for _, call in errands], answer)


def _facts(week: Week, day: int) -> list[str]:
    """New leads of projects, for the days that follow: the errands of the same day don't know them."""
    if day == len(DAYS) - 1:
        return []
    new: dict[str, str] = {}
    for project in week.rng.sample(_PROJECTS[: 2 + week.level], 1 + week.level // 2):
        if day == 0 or week.level > 1 or project not in week.leads:
            new[project] = week.rng.choice(sorted(week.world["people"]))
    facts = [
        f"From tomorrow on, {week.words('people', key)} is the lead of {one}." for one, key in new.items()
    ]
    week.leads.update(new)
    return ["Remember for the next days:", *facts] if facts else []


def _errand(week: Week) -> tuple[str, Call]:
    kinds = [_book, _create, _email, _email]
    kinds += [kind for table, options in _CHANGES.items() if week.fresh[table] for kind in options]
    text, name, arguments = week.rng.choice(kinds)(week)
    return text, Call(name, json.dumps(arguments))


_Errand = tuple[str, str, dict[str, str]]


def _book(week: Week) -> _Errand:
    (words, guest), title = week.person(), week.title()
    day, hour, room = week.rng.choice(DAYS), week.rng.choice(HOURS), week.rng.choice(ROOMS)
    text = f'Book the meeting "{title}" with {words} on {day} at {hour} in room {room}.'
    return text, "book_meeting", {"title": title, "day": day, "hour": hour, "guest": guest, "room": room}


def _move(week: Week) -> _Errand:
    words, key = week.take("meetings")
    now = week.world["meetings"][key]
    day = week.rng.choice([one for one in DAYS if one != now["day"]])
    hour = week.rng.choice(HOURS)
    text = f"Move the meeting {words} to {day} at {hour}."
    return text, "move_meeting", {"meeting": key, "day": day, "hour": hour}


def _cancel(week: Week) -> _Errand:
    words, key = week.take("meetings")
    return f"Cancel the meeting {words}.", "cancel_meeting", {"meeting": key}


def _create(week: Week) -> _Errand:
    (words, owner), title, board = week.person(), week.title(), week.rng.choice(BOARDS)
    text = f'Create the ticket "{title}" on the board {board} for {words}.'
    return text, "create_ticket", {"title": title, "board": board, "owner": owner}


def _assign(week: Week) -> _Errand:
    words, key = week.take("tickets")
    person, owner = week.person()
    while owner == week.world["tickets"][key]["owner"]:
        owner = week.rng.choice(sorted(week.world["people"]))
        person = week.words("people", owner)
    return f"Assign the ticket {words} to {person}.", "assign_ticket", {"ticket": key, "owner": owner}


def _close(week: Week) -> _Errand:
    words, key = week.take("tickets")
    return f"Close the ticket {words}.", "close_ticket", {"ticket": key}


def _status(week: Week) -> _Errand:
    words, key = week.take("customers")
    status = week.rng.choice([one for one in STATUSES if one != week.world["customers"][key]["status"]])
    text = f"Set the status of the customer {words} to {status}."
    return text, "set_customer_status", {"customer": key, "status": status}


def _email(week: Week) -> _Errand:
    (words, to), subject = week.person(), week.title()
    text = week.rng.choice(_TEXTS)
    request = f'Send {words} an email with the subject "{subject}" and the text "{text}".'
    return request, "send_email", {"to": to, "subject": subject, "text": text}


_CHANGES: Final = {
    "meetings": (_move, _cancel),
    "tickets": (_assign, _close),
    "customers": (_status, _status),
}
_SUBJECTS: Final = ("Audit", "Budget", "Delivery", "Invoice", "Order", "Release", "Survey", "Visit")
_TEXTS: Final = (
    "Please confirm by noon.",
    "The numbers are ready.",
    "I will call you later.",
    "The date has changed.",
    "Thank you for your help.",
)
