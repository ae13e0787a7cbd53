"""Generated CSV files, and questions about them with their answers, at five levels."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Case", "draw_case"]

Rows = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """The names in one kind of file, and the values of its two columns of categories."""

    name: str
    first: str
    firsts: tuple[str, ...]
    second: str
    seconds: tuple[str, ...]
    number: str


@dataclass(frozen=True, slots=True)
class Case:
    """Files, a question about them, its answer, and code that prints the answer."""

    files: dict[str, str]
    question: str
    answer: str
    solution: str


TABLES: Final = (
    Table(
        "sales",
        "store",
        ("north", "south", "harbour", "airport", "mall"),
        "product",
        ("tea", "rice", "soap", "oil"),
        "units",
    ),
    Table(
        "sensors",
        "site",
        ("ridge", "valley", "coast", "delta", "plain"),
        "device",
        ("ax1", "bx2", "cx3", "dx4"),
        "reading",
    ),
    Table(
        "tickets",
        "team",
        ("red", "blue", "green", "amber", "grey"),
        "queue",
        ("billing", "login", "mail", "disk"),
        "minutes",
    ),
    Table(
        "harvest",
        "field",
        ("oak", "elm", "ash", "fir", "yew"),
        "crop",
        ("rye", "flax", "hops", "oats"),
        "sacks",
    ),
    Table(
        "flights",
        "port",
        ("Arvik", "Belmora", "Corvale", "Dunmere", "Eskton"),
        "carrier",
        ("Alto", "Brume", "Dray", "Garm"),
        "passengers",
    ),
)
_GROUPS: Final = ("east", "west")


def draw_case(rng: random.Random, level: int) -> Case:
    """A case whose answer is clear and stands in no line of its question."""
    while True:
        table = rng.choice(TABLES)
        rows = draw_rows(rng, table, 10 if level == 0 else rng.randrange(200, 400), missing=level == 4)
        case = rng.choice(_TEMPLATES[level])(rng, table, rows)
        if case is not None:
            return case


def draw_rows(rng: random.Random, table: Table, count: int, *, missing: bool) -> Rows:
    """The rows of a file; with `missing` some numbers are empty."""
    return [
        {
            table.first: rng.choice(table.firsts),
            table.second: rng.choice(table.seconds),
            "month": str(rng.randrange(1, 13)),
            table.number: "" if missing and rng.random() < 0.1 else str(rng.randrange(1, 1000)),
        }
        for _ in range(count)
    ]


def csv_text(rows: Rows) -> str:
    """Rows as CSV; no value needs quotes."""
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"


def _case(table: Table, rows: Rows, question: str, answer: str, code: str, **files: str) -> Case:
    head = f"import csv, statistics\nrows = list(csv.DictReader(open('{table.name}.csv')))\n"
    every = {f"{table.name}.csv": csv_text(rows)} | {f"{name}.csv": text for name, text in files.items()}
    return Case(every, question, answer, f"{head}{code}\n")


def _total_of_one(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    value = rng.choice(t.firsts)
    answer = str(sum(int(row[t.number]) for row in rows if row[t.first] == value))
    if len([row for row in rows if row[t.first] == value]) < 2:
        return None
    return _case(
        t, rows, f"What is the total of {t.number} over the rows whose {t.first} is {value}?", answer,
        f"print(sum(int(r['{t.number}']) for r in rows if r['{t.first}'] == '{value}'))",
    )  # fmt: skip


def _total_since(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    value, month = rng.choice(t.firsts), rng.randrange(2, 12)
    answer = sum(int(row[t.number]) for row in rows if row[t.first] == value and int(row["month"]) >= month)
    return _case(
        t, rows, f"What is the total of {t.number} over the rows whose {t.first} is {value} and whose "
        f"month is "
        f"{month} or later?", str(answer),
        f"print(sum(int(r['{t.number}']) for r in rows if r['{t.first}'] == '{value}' and int(r['month']) "
        f">= {month}))",
    )  # fmt: skip


def _count_above(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    value, limit = rng.choice(t.seconds), rng.randrange(100, 800)
    answer = sum(row[t.second] == value and int(row[t.number]) > limit for row in rows)
    return _case(
        t, rows, f"How many rows have the {t.second} {value} and a {t.number} above {limit}?", str(answer),
        f"print(sum(r['{t.second}'] == '{value}' and int(r['{t.number}']) > {limit} for r in rows))",
    )  # fmt: skip


def _largest_pair(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    month = rng.randrange(2, 9)
    totals: dict[str, int] = {}
    for row in rows:
        if int(row["month"]) >= month:
            pair = f"{row[t.first]}-{row[t.second]}"
            totals[pair] = totals.get(pair, 0) + int(row[t.number])
    best = max(totals, key=lambda pair: totals[pair])
    if list(totals.values()).count(totals[best]) > 1:
        return None
    return _case(
        t, rows, f"Which pair of {t.first} and {t.second} has the highest total of {t.number} over the "
        f"months from "
        f"{month} on? Answer with both and a hyphen between them, such as "
        f"{t.firsts[0]}-{t.seconds[0]}.", best,
        "totals = {}\nfor r in rows:\n"
        f"    if int(r['month']) >= {month}:\n        key = r['{t.first}'] + '-' + r['{t.second}']\n"
        f"        totals[key] = totals.get(key, 0) + int(r['{t.number}'])\nprint(max(totals, "
        f"key=totals.get))",
    )  # fmt: skip


def _mean_of_group(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    groups = {value: rng.choice(_GROUPS) for value in t.firsts}
    group, second = rng.choice(_GROUPS), rng.choice(t.seconds)
    numbers = [int(r[t.number]) for r in rows if groups[r[t.first]] == group and r[t.second] == second]
    if not numbers or _is_borderline(statistics.fmean(numbers)):
        return None
    areas = csv_text([{t.first: value, "area": area} for value, area in groups.items()])
    return _case(
        t, rows, f"The file areas.csv has the area of each {t.first}. What is the mean of {t.number} over "
        f"the rows of "
        f"{t.name}.csv whose {t.first} is in the area {group} and whose {t.second} is {second}? Round to "
        f"two decimals.",
        f"{statistics.fmean(numbers):.2f}",
        f"areas = {{r['{t.first}']: r['area'] for r in csv.DictReader(open('areas.csv'))}}\n"
        f"print('%.2f' % statistics.fmean(int(r['{t.number}']) for r in rows if areas[r['{t.first}']] == "
        f"'{group}' "
        f"and r['{t.second}'] == '{second}'))", areas=areas,
    )  # fmt: skip


def _share(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    value, month = rng.choice(t.seconds), rng.randrange(4, 13)
    kept = [r for r in rows if r[t.number] and int(r["month"]) <= month]
    part = sum(int(r[t.number]) for r in kept if r[t.second] == value)
    share = 100 * part / sum(int(r[t.number]) for r in kept)
    if _is_borderline(share):
        return None
    return _case(
        t, rows, f"Leave out the rows with an empty {t.number} and those after month {month}. Which "
        f"percentage of the "
        f"total {t.number} belongs to the {t.second} {value}? Round to two decimals.", f"{share:.2f}",
        f"rows = [r for r in rows if r['{t.number}'] and int(r['month']) <= {month}]\n"
        f"part = sum(int(r['{t.number}']) for r in rows if r['{t.second}'] == '{value}')\n"
        f"print('%.2f' % (100 * part / sum(int(r['{t.number}']) for r in rows)))",
    )  # fmt: skip


def _median_gap(rng: random.Random, t: Table, rows: Rows) -> Case | None:
    one, two = rng.sample(t.firsts, 2)
    numbers = {
        name: [int(r[t.number]) for r in rows if r[t.number] and r[t.first] == name] for name in (one, two)
    }
    if not all(numbers.values()):
        return None
    gap = statistics.median(numbers[one]) - statistics.median(numbers[two])
    return _case(
        t, rows, f"Leave out the rows with an empty {t.number}. By how much is the median {t.number} of "
        f"the {t.first} "
        f"{one} above that of the {t.first} {two}? It may be negative. Give one decimal.", f"{gap:.1f}",
        f"m = lambda v: statistics.median(int(r['{t.number}']) for r in rows if r['{t.number}'] and "
        f"r['{t.first}'] == v)\n"
        f"print('%.1f' % (m('{one}') - m('{two}')))",
    )  # fmt: skip


def _is_borderline(value: float) -> bool:
    """Whether rounding to two decimals is a matter of the last bit."""
    return abs(value * 100 % 1 - 0.5) < 1e-6


Template = Callable[[random.Random, Table, Rows], Case | None]
_TEMPLATES: Final[tuple[tuple[Template, ...], ...]] = (
    (_total_of_one,),
    (_total_since, _count_above),
    (_largest_pair,),
    (_mean_of_group,),
    (_share, _median_gap),
)
