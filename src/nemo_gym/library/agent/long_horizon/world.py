"""A small office: people, meetings, tickets, customers and sent mail, made from a number."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Final, TypeAlias

Record: TypeAlias = dict[str, str]
World: TypeAlias = dict[str, dict[str, Record]]
"""The tables of an office; each has records by id."""

WORLDS: Final = 64
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
HOURS: Final = tuple(f"{hour:02}:00" for hour in range(8, 18))
ROOMS: Final = ("Birch", "Cedar", "Maple", "Rowan", "Willow")
BOARDS: Final = ("design", "platform", "sales", "support")
STATUSES: Final = ("lead", "trial", "active", "paused", "lost")
MAX_RECORDS: Final = 400
"""The most records of a table."""


def new_world(number: int) -> World:
    """A fresh copy of the office with a number."""
    return copy_of(_world(number))


def copy_of(world: World) -> World:
    """A copy that shares no record."""
    return {table: {key: {**record} for key, record in records.items()} for table, records in world.items()}


def next_id(world: World, table: str) -> str:
    """The id of the next record of a table; ids are never used twice."""
    last = max((int(key[1:]) for key in world[table]), default=0)
    counter = world["counters"][table]
    counter["last"] = str(max(last, int(counter["last"])) + 1)
    return f"{table[0]}{int(counter['last']):03}"


def content(world: World, before: World) -> dict[str, object]:
    """What is compared: the records that existed before by id, and the new ones without their ids."""
    state: dict[str, object] = {}
    for table in TABLES:
        state[table] = {key: record for key, record in world[table].items() if key in before[table]}
        state[f"new {table}"] = [record for key, record in world[table].items() if key not in before[table]]
    return state


TABLES: Final = ("people", "meetings", "tickets", "customers", "emails")
NEW_TABLES: Final = tuple(f"new {table}" for table in TABLES)


@lru_cache(WORLDS)
def _world(number: int) -> World:
    rng = random.Random(f"office {number}")
    names = _combine(rng, _FIRST, _LAST, 24)
    people = {
        f"p{n:03}": {
            "name": name,
            "team": rng.choice(BOARDS),
            "email": f"{name.lower().replace(' ', '.')}@office",
        }
        for n, name in enumerate(names, 1)
    }
    ids = list(people)
    meetings = {
        f"m{n:03}": {
            "title": title,
            "day": rng.choice(DAYS),
            "hour": rng.choice(HOURS),
            "guest": rng.choice(ids),
            "room": rng.choice(ROOMS),
        }
        for n, title in enumerate(_combine(rng, _TOPICS, _MEETINGS, 40), 1)
    }
    tickets = {
        f"t{n:03}": {
            "title": title,
            "board": rng.choice(BOARDS),
            "owner": rng.choice(ids),
            "status": rng.choice(("open", "open", "open", "closed")),
        }
        for n, title in enumerate(_combine(rng, _WORK, _THINGS, 48), 1)
    }
    customers = {
        f"c{n:03}": {"name": name, "status": rng.choice(STATUSES)}
        for n, name in enumerate(_combine(rng, _FIRMS, _FORMS, 36), 1)
    }
    counters = {table: {"last": "0"} for table in TABLES}
    return {
        "people": people,
        "meetings": meetings,
        "tickets": tickets,
        "customers": customers,
        "emails": {},
        "counters": counters,
    }


def _combine(rng: random.Random, first: str, second: str, n: int) -> list[str]:
    pairs = [f"{one} {other}" for one in first.split() for other in second.split()]
    return rng.sample(pairs, n)


_FIRST: Final = "Ada Bo Cleo Dan Eva Finn Gita Hugo Ines Jon Kira Leo"
_LAST: Final = "Lund Kerr Marsh Ibsen Novak Hale Rao Pell"
_TOPICS: Final = "Budget Hiring Launch Pricing Quality Roadmap Safety Training"
_MEETINGS: Final = "review sync workshop update briefing interview"
_WORK: Final = "Check Clean Document Move Repair Replace Test Update"
_THINGS: Final = "backups contracts dashboards invoices labels printers reports servers"
_FIRMS: Final = "Alder Basalt Cobalt Delta Ember Fjord Granite Harbour Island"
_FORMS: Final = "Foods Motors Optics Paper Systems Travel"
