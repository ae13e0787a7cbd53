"""The invented office at the start of every rollout; it is built once, at its first use."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

Row: TypeAlias = Mapping[str, str]
"""One record. No code changes it in place, so that rollouts can share it."""

NOW: Final = "2025-03-12 08:00:00"
"""The time at which every task happens: a Wednesday before the first meeting of the day."""
TODAY: Final = NOW[:10]
MY_NAME: Final = "Robin Hale"
MY_EMAIL: Final = "robin.hale@orchardworks.example"

LISTS: Final = ("To do", "Doing", "Review", "Done")
BOARDS: Final = ("Website", "Mobile app", "Data platform", "Operations")
STATUSES: Final = ("Lead", "Contacted", "Negotiating", "Won", "Lost")
PRODUCTS: Final = ("Planner", "Inventory", "Payments", "Support desk")
TRAFFIC_SOURCES: Final = ("direct", "search", "social", "referral")


@dataclass(frozen=True, slots=True)
class Base:
    """The read-only tables; each maps an id to a record."""

    directory: Mapping[str, str]
    """The full name of every employee, by email address."""
    emails: Mapping[str, Row]
    calendar_events: Mapping[str, Row]
    project_tasks: Mapping[str, Row]
    customers: Mapping[str, Row]
    visits: tuple[Row, ...]
    """Web analytics, with one row for each visit; a visitor may come several times."""


@cache
def base() -> Base:
    """The office at the start of every rollout."""
    rng = random.Random("orchardworks")
    directory = _directory(rng)
    people = [address for address in directory if address != MY_EMAIL]
    customers = _customers(rng, people)
    return Base(
        directory=MappingProxyType(directory),
        emails=_emails(rng, directory, customers),
        calendar_events=_calendar_events(rng, people),
        project_tasks=_project_tasks(rng, [*people, MY_EMAIL]),
        customers=customers,
        visits=_visits(rng),
    )


def record_id(number: int) -> str:
    """The id of the `number`-th record of a table: eight digits."""
    return f"{number:08d}"


_FIRST_NAMES = (
    "Amara", "Bruno", "Chiara", "Dalia", "Emre", "Farah", "Goran", "Hanna", "Ivo", "Jamila", "Kenji",
    "Leona", "Mateo", "Nadia", "Oskar", "Petra", "Quentin", "Rosa", "Samir", "Tilda", "Umar", "Vera",
    "Wanda", "Xenia", "Yusuf", "Zora", "Anton", "Bianca", "Cyrus", "Dorothea",
)  # fmt: skip
_LAST_NAMES = (
    "Abara", "Bergman", "Castillo", "Dvorak", "Eriksen", "Fontaine", "Gupta", "Horvath", "Ibsen",
    "Jansen", "Kowalski", "Lindqvist", "Moreau", "Nakata", "Okonjo", "Petrov", "Quiroga", "Rahman",
    "Silva", "Tanaka", "Ueda", "Vargas", "Weber", "Xiong", "Yilmaz", "Zeman", "Alder", "Birch", "Costa",
    "Drummond",
)  # fmt: skip
_COMPANIES = (
    "brightmill", "coldharbour", "dunesand", "eastgate", "fernhill", "granitebay", "hollowoak",
    "ironbridge",
)  # fmt: skip
_TOPICS = (
    "Budget draft", "Hiring plan", "Travel costs", "Launch checklist", "Security training",
    "Office move", "Vendor contract", "Survey results", "Release notes", "Design feedback",
    "Onboarding guide", "Server outage", "Price list", "Holiday rota", "Data request",
    "Workshop agenda", "Press questions", "Test results",
)  # fmt: skip
_TOPIC_FORMS = ("{}", "Question about: {}", "{} - second version", "Please read: {}", "{} for next week")
_SENTENCES = (
    "I put the current state into the shared folder.", "Two numbers still look odd to me.",
    "Could you have a look before Friday?", "There is no hurry from my side.",
    "We agreed on this in the last round.", "The second page is new.",
    "I would rather decide this in person.", "Nothing blocks us at the moment.",
    "The deadline has moved by a week.", "Let me know what you think.",
    "Someone from finance should see it as well.", "I left three questions in the margin.",
)  # fmt: skip
_MEETINGS = (
    "Budget review", "Roadmap talk", "Weekly catch-up", "Design critique", "Hiring interview",
    "Contract talk", "Retrospective", "Planning session", "Customer call", "Training", "Status update",
    "Brainstorming",
)  # fmt: skip
_VERBS = (
    "Fix", "Test", "Document", "Redesign", "Replace", "Measure", "Simplify", "Translate", "Review",
    "Automate", "Archive", "Extend",
)  # fmt: skip
_OBJECTS = (
    "the login page", "the search index", "the invoice export", "the nightly backup", "the signup form",
    "the price calculator", "the error messages", "the audit log", "the welcome email",
    "the image upload", "the report builder", "the address import", "the payment retry",
    "the staging server", "the map view", "the settings menu", "the access rights", "the help articles",
    "the message queue", "the stock forecast", "the dark theme", "the chat widget", "the status page",
    "the data archive", "the print layout",
)  # fmt: skip


def _table(key: str, rows: Iterable[dict[str, str]]) -> Mapping[str, Row]:
    """A read-only table; the ids of its rows count from 1."""
    pairs = ((record_id(number), row) for number, row in enumerate(rows, start=1))
    return MappingProxyType({id: MappingProxyType({key: id, **row}) for id, row in pairs})


def _day(offset: int) -> str:
    return (datetime.fromisoformat(NOW) + timedelta(days=offset)).date().isoformat()


def _is_weekday(day: str) -> bool:
    return datetime.fromisoformat(day).weekday() < 5


def _names(rng: random.Random, n: int, others: Iterable[str] = ()) -> list[str]:
    """Different names, none of them among the others."""
    excluding = set(others)
    every = [f"{first} {last}" for first in _FIRST_NAMES for last in _LAST_NAMES]
    return rng.sample([name for name in every if name not in excluding], n)


def _address(name: str, company: str) -> str:
    return f"{name.lower().replace(' ', '.')}@{company}.example"


def _directory(rng: random.Random) -> dict[str, str]:
    names = sorted([MY_NAME, *_names(rng, 40)])
    return {_address(name, "orchardworks"): name for name in names}


def _customers(rng: random.Random, people: list[str]) -> Mapping[str, Row]:
    rows: list[dict[str, str]] = []
    colleagues = [address.split("@")[0].replace(".", " ").title() for address in people]
    for name in _names(rng, 200, others=colleagues):
        rows.append(
            {
                "customer_name": name,
                "customer_email": _address(name, rng.choice(_COMPANIES)),
                "customer_phone": f"555-{rng.randrange(1000):03d}-{rng.randrange(10000):04d}",
                "assigned_to_email": rng.choice(people),
                "status": rng.choice(STATUSES),
                "product_interest": rng.choice(PRODUCTS),
                "last_contact_date": _day(-rng.randint(1, 90)),
                "follow_up_by": _day(rng.randint(-10, 30)),
                "notes": rng.choice(("", *_SENTENCES)),
            }
        )
    return _table("customer_id", rows)


def _emails(
    rng: random.Random, directory: Mapping[str, str], customers: Mapping[str, Row]
) -> Mapping[str, Row]:
    people = [address for address in directory if address != MY_EMAIL]
    clients = [row["customer_email"] for row in customers.values()]
    minutes_a_day = 600
    rows: list[dict[str, str]] = []
    for minute in sorted(rng.sample(range(60 * minutes_a_day), 500)):
        start = datetime.fromisoformat(f"{_day(minute // minutes_a_day - 60)} 08:00:00")
        address = rng.choice(clients if rng.random() < 0.2 else people)
        is_outgoing = rng.random() < 0.3
        author = (MY_EMAIL if is_outgoing else address).split(".")[0].title()
        reader = (address if is_outgoing else MY_EMAIL).split(".")[0].title()
        text = " ".join(rng.sample(_SENTENCES, 3))
        rows.append(
            {
                "folder": "outbox" if is_outgoing else "inbox",
                "address": address,
                "subject": rng.choice(_TOPIC_FORMS).format(rng.choice(_TOPICS)),
                "sent_datetime": str(start + timedelta(minutes=minute % minutes_a_day)),
                "body": f"Hi {reader},\n\n{text}\n\nBest,\n{author}",
            }
        )
    return _table("email_id", rows)


def _calendar_events(rng: random.Random, people: list[str]) -> Mapping[str, Row]:
    days = [day for day in map(_day, range(-40, 41)) if _is_weekday(day)]
    starts = [f"{day} {hour:02d}:{half}:00" for day in days for hour in range(9, 17) for half in ("00", "30")]
    rows = [
        {
            "event_name": rng.choice(_MEETINGS),
            "participant_email": rng.choice(people),
            "event_start": start,
            "duration": rng.choice(("30", "45", "60", "90")),
        }
        for start in sorted(rng.sample(starts, 300))
    ]
    return _table("event_id", rows)


def _project_tasks(rng: random.Random, people: list[str]) -> Mapping[str, Row]:
    every = [f"{verb} {thing}" for verb in _VERBS for thing in _OBJECTS]
    rng.shuffle(every)
    rows = [
        {
            "task_name": name,
            "assigned_to_email": rng.choice(people),
            "list_name": rng.choice(LISTS),
            "due_date": _day(rng.randint(-30, 45)),
            "board": rng.choice(BOARDS),
        }
        for name in every[:300]
    ]
    return _table("task_id", rows)


def _visits(rng: random.Random) -> tuple[Row, ...]:
    rows: list[dict[str, str]] = []
    for day in sorted(rng.randint(-90, -1) for _ in range(1000)):
        seconds = round(rng.lognormvariate(3.5, 1))
        rows.append(
            {
                "visitor_id": record_id(rng.randint(1, 400)),
                "date_of_visit": _day(day),
                "traffic_source": rng.choices(TRAFFIC_SOURCES, (4, 5, 2, 1))[0],
                "page_views": str(1 + seconds // 30),
                "session_duration_seconds": str(seconds),
                "user_engaged": str(seconds >= 45).lower(),
            }
        )
    return tuple(MappingProxyType(row) for row in rows)
