"""Questions about generated databases, each with the query that answers it, at five levels."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, Final

from nemo_gym.environments.sql_databases import (
    DOMAINS,
    GENERATED,
    YEARS,
    Domain,
    generated_database,
    hidden_database,
)
from nemo_gym.environments.sql_worker import Database

__all__ = ["Question", "draw_question"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the right query."""

    db_id: str
    text: str
    gold_sql: str
    rows: list[tuple[Any, ...]]
    """The result of the right query."""

    @property
    def domain(self) -> Domain:
        """The business of its database."""
        return DOMAINS[self.db_id.split("/")[1]]


def draw_question(rng: random.Random, level: int) -> Question:
    """A question whose result has rows, and differs between the database and its hidden twin."""
    while True:
        domain = rng.choice(list(DOMAINS.values()))
        seed = str(rng.randrange(_SEEDS))
        template = rng.choice(_TEMPLATES[level])
        text, sql = template(domain, rng)
        rows = run_own(generated_database(domain.name, seed), sql)
        twin = run_own(hidden_database(domain.name, seed), sql)
        if rows and twin and set(rows) != set(twin) and len(rows) <= 40 and _is_clear(text, rows, twin):
            return Question(f"{GENERATED}/{domain.name}/{seed}", text, sql, rows)


def run_own(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """The result of a query of ours, in this process."""
    with _LOCK:
        return _connection(database.script).execute(sql).fetchall()


@cache
def _connection(script: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(script)
    return connection


def _is_clear(text: str, rows: list[tuple[Any, ...]], twin: list[tuple[Any, ...]]) -> bool:
    """Whether a question about the one with the most has one answer only, and no value is missing."""
    if _SINGLE in text and (len(rows) > 1 or len(twin) > 1):
        return False
    return all(cell is not None for row in (*rows, *twin) for cell in row)


_SEEDS: Final = 12
"""How many databases each business has."""
_LOCK: Final = Lock()
"""One thread at a time uses the connections."""
_SINGLE: Final = "Which one"
Template = Callable[[Domain, random.Random], tuple[str, str]]


def _count_in_city(d: Domain, rng: random.Random) -> tuple[str, str]:
    city = rng.choice(d.places)
    return f"How many {d.actors} live in {city}?", f"SELECT count(*) FROM {d.actors} WHERE city = '{city}'"


def _count_above(d: Domain, rng: random.Random) -> tuple[str, str]:
    limit = rng.randrange(20, 190)
    word, sign = rng.choice((("above", ">"), ("below", "<")))
    return (
        f"How many {d.things} have a {d.number_column} {word} {limit}?",
        f"SELECT count(*) FROM {d.things} WHERE {d.number_column} {sign} {limit}",
    )


def _count_joined(d: Domain, rng: random.Random) -> tuple[str, str]:
    year = rng.choice(YEARS)
    return (
        f"How many {d.actors} have the joined_year {year}?",
        f"SELECT count(*) FROM {d.actors} WHERE joined_year = {year}",
    )


def _titles_of_kind(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, limit = rng.choice(d.kinds), rng.randrange(30, 180)
    return (
        f"List the titles of the {d.things} whose {d.kind_column} is '{kind}' and whose {d.number_column} is "
        f"at least {limit}.",
        f"SELECT title FROM {d.things} WHERE {d.kind_column} = '{kind}' AND {d.number_column} >= {limit}",
    )


def _names_since(d: Domain, rng: random.Random) -> tuple[str, str]:
    city, year = rng.choice(d.places), rng.choice(YEARS)
    return (
        f"List the names of the {d.actors} from {city} who joined in {year} or later.",
        f"SELECT name FROM {d.actors} WHERE city = '{city}' AND joined_year >= {year}",
    )


def _kinds_counted(d: Domain, rng: random.Random) -> tuple[str, str]:
    limit = rng.randrange(20, 150)
    return (
        f"For each {d.kind_column}, how many {d.things} have a {d.number_column} above {limit}? Return the "
        f"{d.kind_column} and the count, without those that have none.",
        f"SELECT {d.kind_column}, count(*) FROM {d.things} WHERE {d.number_column} > {limit} GROUP BY 1",
    )


def _largest_of_kind(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, limit = rng.choice(d.kinds), rng.randrange(60, 200)
    number = d.number_column
    return (
        f"{_SINGLE} of the {d.things} with {d.kind_column} '{kind}' and a {number} below {limit} has the "
        f"highest {number}? Return its title.",
        f"SELECT title FROM {d.things} WHERE {d.kind_column} = '{kind}' AND {number} < {limit} "
        f"ORDER BY {number} DESC LIMIT 1",
    )


def _total_in_year(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, year = rng.choice(d.kinds), rng.choice(YEARS)
    return (
        f"What is the total {d.amount_words} over all {d.events} in the year {year} of {d.things} whose "
        f"{d.kind_column} is '{kind}'?",
        f"SELECT sum(e.{d.amount_column}) FROM {d.events} e JOIN {d.things} t ON t.id = e.{d.thing_key} "
        f"WHERE e.year = {year} AND t.{d.kind_column} = '{kind}'",
    )


def _names_in_year(d: Domain, rng: random.Random) -> tuple[str, str]:
    city, year, least = rng.choice(d.places), rng.choice(YEARS), rng.randrange(2, 15)
    return (
        f"List, each once, the names of the {d.actors} from {city} who have one of the {d.events} since "
        f"{year} with a {d.amount_column} of at least {least}.",
        f"SELECT DISTINCT a.name FROM {d.actors} a JOIN {d.events} e ON e.{d.actor_key} = a.id "
        f"WHERE a.city = '{city}' AND e.year >= {year} AND e.{d.amount_column} >= {least}",
    )


def _who_what(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, city, year = rng.choice(d.kinds), rng.choice(d.places), rng.choice(YEARS)
    return (
        f"Return, without repeats, each pair of name and title where one of the {d.actors} from {city} "
        f"{d.verb} one of the {d.things} whose {d.kind_column} is '{kind}', in {year} or later.",
        f"SELECT DISTINCT a.name, t.title {_joined(d)} "
        f"WHERE a.city = '{city}' AND t.{d.kind_column} = '{kind}' AND e.year >= {year}",
    )


def _cities_with_total(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, least, year = rng.choice(d.kinds), rng.randrange(20, 90), rng.choice(YEARS[:6])
    total = f"sum(e.{d.amount_column})"
    return (
        f"For each city of the {d.actors}, add up the {d.amount_column} of their {d.events} since {year} of "
        f"{d.things} whose {d.kind_column} is '{kind}'. Return the city and the total where the total is at "
        f"least {least}.",
        f"SELECT a.city, {total} {_joined(d)} WHERE t.{d.kind_column} = '{kind}' AND e.year >= {year} "
        f"GROUP BY a.city HAVING {total} >= {least}",
    )


def _above_average(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, extra = rng.choice(d.kinds), rng.randrange(0, 60)
    number = d.number_column
    return (
        f"List the titles of the {d.things} whose {d.kind_column} is '{kind}' and whose {number} is more "
        f"than {extra} above the average {number} of all {d.things}.",
        f"SELECT title FROM {d.things} WHERE {d.kind_column} = '{kind}' AND {number} > {extra} + "
        f"(SELECT avg({number}) FROM {d.things})",
    )


def _never(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, year = rng.choice(d.kinds), rng.choice(YEARS)
    city = rng.choice(d.places)
    return (
        f"List the names of the {d.actors} from {city} who {d.verb} none of the {d.things} whose "
        f"{d.kind_column} is '{kind}' in {year} or later.",
        f"SELECT a.name FROM {d.actors} a WHERE a.city = '{city}' AND NOT EXISTS (SELECT 1 FROM {d.events} e "
        f"JOIN {d.things} t ON t.id = e.{d.thing_key} WHERE e.{d.actor_key} = a.id AND e.year >= {year} "
        f"AND t.{d.kind_column} = '{kind}')",
    )


def _best_of_each(d: Domain, rng: random.Random) -> tuple[str, str]:
    limit, year = rng.randrange(60, 200), rng.choice(YEARS)
    number = d.number_column
    return (
        f"Among the {d.things} with a {number} below {limit} that have one of the {d.events} in {year} or "
        f"later: return, for each {d.kind_column}, the {d.kind_column}, and the title and the {number} of "
        f"the one with the highest {number}.",
        f"SELECT kind, title, number FROM (SELECT t.{d.kind_column} AS kind, t.title, t.{number} AS number, "
        f"rank() OVER (PARTITION BY t.{d.kind_column} ORDER BY t.{number} DESC) AS place FROM {d.things} t "
        f"WHERE t.{number} < {limit} AND EXISTS (SELECT 1 FROM {d.events} e WHERE e.{d.thing_key} = t.id "
        f"AND e.year >= {year})) WHERE place = 1",
    )


def _top_actor(d: Domain, rng: random.Random) -> tuple[str, str]:
    kind, start = rng.choice(d.kinds), rng.choice(YEARS[:6])
    end = rng.randrange(start + 2, YEARS[-1] + 1)
    total = f"sum(e.{d.amount_column})"
    return (
        f"{_SINGLE} of the {d.actors} has the highest total {d.amount_words} over the {d.events} from "
        f"{start} to {end} of {d.things} whose {d.kind_column} is '{kind}'? Return the name and the total.",
        f"WITH s AS (SELECT a.name AS name, {total} AS total {_joined(d)} WHERE t.{d.kind_column} = "
        f"'{kind}' AND e.year BETWEEN {start} AND {end} GROUP BY a.id) SELECT name, total FROM s "
        "WHERE total = (SELECT max(total) FROM s)",
    )


def _joined(d: Domain) -> str:
    return (
        f"FROM {d.events} e JOIN {d.actors} a ON a.id = e.{d.actor_key} "
        f"JOIN {d.things} t ON t.id = e.{d.thing_key}"
    )


_TEMPLATES: Final[tuple[tuple[Template, ...], ...]] = (
    (_count_in_city, _count_above, _count_above, _count_joined),
    (_titles_of_kind, _names_since, _kinds_counted, _largest_of_kind),
    (_total_in_year, _names_in_year),
    (_who_what, _cities_with_total),
    (_above_average, _never, _best_of_each, _top_actor),
)
"""For each level the kinds of questions."""
