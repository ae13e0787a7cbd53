"""Small databases that a seed makes: actors, things, and events that join them, in several businesses."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from nemo_gym.environments.sql_worker import Database

__all__ = ["DOMAINS", "Domain", "generated_database", "hidden_database", "read_generated"]

GENERATED: Final = "generated"


@dataclass(frozen=True, slots=True)
class Domain:
    """The names in one business: tables in the plural, columns, and the words of its questions."""

    name: str
    actors: str
    actor_key: str
    places: tuple[str, ...]
    """The values of the actors' column `city`."""
    things: str
    thing_key: str
    kind_column: str
    kinds: tuple[str, ...]
    number_column: str
    """A whole number of each thing; no two things have the same."""
    words: tuple[str, ...]
    """Parts of the things' titles."""
    events: str
    amount_column: str
    amount_words: str
    verb: str
    """From an actor to a thing, in the past: bought, borrowed."""

    @property
    def schema(self) -> str:
        """The statements that create the tables."""
        return (
            f"CREATE TABLE {self.actors} (\n  id INTEGER PRIMARY KEY,\n  name TEXT NOT NULL,\n"
            "  city TEXT NOT NULL,\n  joined_year INTEGER NOT NULL\n);\n"
            f"CREATE TABLE {self.things} (\n  id INTEGER PRIMARY KEY,\n  title TEXT NOT NULL,\n"
            f"  {self.kind_column} TEXT NOT NULL,\n  {self.number_column} INTEGER NOT NULL\n);\n"
            f"CREATE TABLE {self.events} (\n  id INTEGER PRIMARY KEY,\n"
            f"  {self.actor_key} INTEGER NOT NULL REFERENCES {self.actors}(id),\n"
            f"  {self.thing_key} INTEGER NOT NULL REFERENCES {self.things}(id),\n"
            f"  {self.amount_column} INTEGER NOT NULL,\n  year INTEGER NOT NULL\n);\n"
        )

    @property
    def tables(self) -> tuple[str, str, str]:
        """The names of the tables."""
        return self.actors, self.things, self.events


_CITIES: Final = ("Arvik", "Belmora", "Corvale", "Dunmere", "Eskton", "Farrow", "Galdric", "Hollin")
_FIRST: Final = (
    "Ada Bela Caro Dov Edda Finn Gita Hana Ivo Jora Kian Lena Mats Nora Otis Pia Remy Sana Timo Una"
)
_LAST: Final = "Abel Brandt Costa Dahl Ebner Fuchs Grohl Hale Ibsen Jansen Kerr Lund Moreau Novak Orr Pell"
YEARS: Final = range(2015, 2025)

DOMAINS: Final = {
    domain.name: domain
    for domain in (
        Domain(
            "shop",
            "customers",
            "customer_id",
            _CITIES,
            "products",
            "product_id",
            "category",
            ("kitchen", "garden", "toys", "sports", "office"),
            "price",
            ("Lamp", "Kettle", "Spade", "Ball", "Desk"),
            "orders",
            "quantity",
            "quantity",
            "ordered",
        ),
        Domain(
            "library",
            "members",
            "member_id",
            _CITIES,
            "books",
            "book_id",
            "genre",
            ("poetry", "history", "crime", "science", "travel"),
            "pages",
            ("Harbour", "Winter", "Stone", "Echo"),
            "loans",
            "days",
            "number of days",
            "borrowed",
        ),
        Domain(
            "clinic",
            "patients",
            "patient_id",
            _CITIES,
            "treatments",
            "treatment_id",
            "department",
            ("dental", "vision", "skin", "heart", "therapy"),
            "fee",
            ("Check", "Scan", "Session", "Test"),
            "visits",
            "minutes",
            "number of minutes",
            "received",
        ),
        Domain(
            "school",
            "students",
            "student_id",
            _CITIES,
            "courses",
            "course_id",
            "subject",
            ("music", "physics", "drama", "biology", "law"),
            "seats",
            ("Basics", "Seminar", "Workshop", "Studio"),
            "enrolments",
            "score",
            "score",
            "took",
        ),
        Domain(
            "gym_club",
            "athletes",
            "athlete_id",
            _CITIES,
            "classes",
            "class_id",
            "discipline",
            ("yoga", "boxing", "rowing", "cycling", "dance"),
            "monthly_fee",
            ("Morning", "Power", "Quiet", "Rapid"),
            "attendances",
            "calories",
            "number of calories",
            "attended",
        ),
        Domain(
            "rental",
            "drivers",
            "driver_id",
            _CITIES,
            "cars",
            "car_id",
            "class",
            ("compact", "family", "van", "sport", "electric"),
            "daily_rate",
            ("Orbit", "Comet", "Falcon", "Breeze"),
            "rentals",
            "kilometres",
            "number of kilometres",
            "rented",
        ),
        Domain(
            "museum",
            "visitors",
            "visitor_id",
            _CITIES,
            "exhibits",
            "exhibit_id",
            "wing",
            ("modern", "ancient", "nature", "ocean", "space"),
            "insured_value",
            ("Vase", "Mask", "Relic", "Canvas"),
            "tours",
            "tickets",
            "number of tickets",
            "toured",
        ),
        Domain(
            "farm",
            "buyers",
            "buyer_id",
            _CITIES,
            "crops",
            "crop_id",
            "season",
            ("spring", "summer", "autumn", "winter", "all-year"),
            "yield_tons",
            ("Barley", "Carrot", "Plum", "Kale"),
            "sales",
            "crates",
            "number of crates",
            "purchased",
        ),
    )
}


@lru_cache(maxsize=256)
def generated_database(name: str, seed: str) -> Database:
    """The database of a business: its schema is always the same, and the seed decides its rows.

    Raises:
        KeyError: there is no such business.
    """
    domain = DOMAINS[name]
    rng = random.Random(f"{name} {seed}")
    people = [f"{first} {last}" for first in _FIRST.split() for last in _LAST.split()]
    actors = [
        (number, person, rng.choice(domain.places), rng.choice(YEARS))
        for number, person in enumerate(rng.sample(people, rng.randrange(24, 34)), 1)
    ]
    count = rng.randrange(16, 24)
    numbers = rng.sample(range(10, 200), count)
    titles = rng.sample([f"{word} {number}" for word in domain.words for number in range(1, 40)], count)
    things = [
        (number, title, rng.choice(domain.kinds), numbers[number - 1])
        for number, title in enumerate(titles, 1)
    ]
    events = [
        (
            number,
            rng.randrange(1, len(actors) + 1),
            rng.randrange(1, count + 1),
            rng.randrange(1, 30),
            rng.choice(YEARS),
        )
        for number in range(1, rng.randrange(70, 100))
    ]
    tables = zip(domain.tables, (actors, things, events), strict=True)
    return Database(script=domain.schema + "".join(_inserts(table, rows) for table, rows in tables))


def hidden_database(name: str, seed: str) -> Database:
    """A second database of the same schema with other rows, which the model never sees."""
    return generated_database(name, f"{seed} hidden")


def read_generated(db_id: str) -> tuple[str, str] | None:
    """The business and the seed of a `db_id` such as `generated/shop/17`; None for another one."""
    parts = db_id.split("/")
    if len(parts) == 3 and parts[0] == GENERATED and parts[1] in DOMAINS:
        return parts[1], parts[2]
    return None


def _inserts(table: str, rows: list[tuple[int, str, str, int]] | list[tuple[int, ...]]) -> str:
    values = ",".join(
        "(" + ",".join(f"'{cell}'" if isinstance(cell, str) else str(cell) for cell in row) + ")"
        for row in rows
    )
    return f"INSERT INTO {table} VALUES {values};\n"
