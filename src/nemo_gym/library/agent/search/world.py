"""A fictional world: its people, places and companies, one document for each, and an index over them."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Final

WORLDS: Final = 16
"""How many worlds there are."""

_STARTS: Final = (
    "Bra Cor Del Fen Gal Hes Ith Jor Kel Lor Mar Nim Ost Pel Quen Ras Sil Tor Ulm Ver Wes Yar Zan"
)
_ENDS: Final = "dova mire nath quist rith sola tane veld wick xen yor zaph band cray dusk fell"
_JOBS: Final = (
    "glassblower",
    "cartographer",
    "beekeeper",
    "lutenist",
    "botanist",
    "clockmaker",
    "weaver",
    "astronomer",
)
_PRODUCTS: Final = (
    "wind organs",
    "salt lamps",
    "paper kites",
    "copper bells",
    "ink stones",
    "reed boats",
    "felt hats",
)
_LANGUAGES: Final = ("Old Vethic", "Harrow Speech", "Lowland Tarn", "Quill Cant", "Sea Morric", "High Oskan")

PHRASES: Final = {
    "birthplace": "the birthplace of {}",
    "mentor": "the mentor of {}",
    "company": "the company that {} founded",
    "seat": "the town where {} has its seat",
    "mayor": "the mayor of {}",
    "river": "the river that runs through {}",
    "region": "the region of {}",
    "capital": "the capital of {}",
    "profession": "the profession of {}",
    "birth_year": "the birth year of {}",
    "product": "the main product of {}",
    "founding_year": "the founding year of {}",
    "length": "the length in kilometres of {}",
    "sea": "the sea into which {} flows",
    "language": "the language spoken in {}",
    "population": "the number of inhabitants of {}",
}
"""The words for each relation in a question."""

_SENTENCES: Final = {
    "birthplace": "{} was born in {}.",
    "mentor": "{} learnt the trade from {}.",
    "company": "Later {} founded {}.",
    "seat": "{} has its seat in {}.",
    "mayor": "{} has been governed for years by its mayor, {}.",
    "river": "{} lies on the river {}.",
    "region": "{} belongs to {}.",
    "capital": "{} is administered from its capital, {}.",
    "profession": "{} works as a {}.",
    "birth_year": "{} came into the world in the year {}.",
    "product": "{} is known for its {}.",
    "founding_year": "{} was founded in the year {}.",
    "length": "{} is {} kilometres long.",
    "sea": "{} flows into the {}.",
    "language": "In {} people speak {}.",
    "population": "{} counts {} inhabitants.",
}


@dataclass(slots=True)
class Entity:
    """A person, place or company, with its document."""

    name: str
    links: dict[str, Entity] = field(default_factory=dict[str, "Entity"])
    values: dict[str, str] = field(default_factory=dict[str, str])
    id: str = ""

    @property
    def text(self) -> str:
        """The document."""
        facts = {name: other.name for name, other in self.links.items()} | self.values
        return " ".join(_SENTENCES[relation].format(self.name, value) for relation, value in facts.items())


@dataclass(frozen=True, slots=True)
class World:
    """All entities by the ids of their documents, and the index."""

    entities: dict[str, Entity]
    index: sqlite3.Connection
    lock: Lock

    def search(self, words: list[str], limit: int) -> list[Entity]:
        """The documents that fit best."""
        query = " OR ".join(f'"{word}"' for word in words)
        with self.lock:
            rows = self.index.execute(
                "SELECT id FROM documents WHERE documents MATCH ? "
                "ORDER BY bm25(documents, 0, 4, 1), id LIMIT ?",
                (query, limit),
            ).fetchall()
        return [self.entities[row[0]] for row in rows]


@lru_cache(maxsize=WORLDS)
def world(number: int) -> World:
    """A world; the same number gives the same one."""
    rng = random.Random(f"world {number}")
    names = [start + end for start in _STARTS.split() for end in _ENDS.split()]
    rng.shuffle(names)
    seas = [f"{names.pop()} Sea" for _ in range(4)]
    rivers = [Entity(f"{names.pop()} Water") for _ in range(8)]
    regions = [Entity(f"the {names.pop()} March") for _ in range(5)]
    towns = [Entity(names.pop()) for _ in range(20)]
    people = [Entity(f"{names.pop()} {names.pop()}") for _ in range(30)]
    companies = [Entity(f"{names.pop()} & Co.") for _ in range(15)]
    for river in rivers:
        river.values = {"length": str(rng.randrange(40, 2000)), "sea": rng.choice(seas)}
    for place, region in enumerate(regions):
        region.links = {"capital": towns[place]}
        region.values = {"language": rng.choice(_LANGUAGES), "population": str(rng.randrange(10**5, 10**7))}
    for place, town in enumerate(towns):
        town.links = {"river": rng.choice(rivers), "region": regions[place % 5], "mayor": rng.choice(people)}
        town.values = {
            "founding_year": str(rng.randrange(300, 1500)),
            "population": str(rng.randrange(500, 90_000)),
        }
    for place, person in enumerate(people):
        person.links = {"birthplace": rng.choice(towns), "mentor": people[place - 1]}
        if place < len(companies):
            person.links["company"] = companies[place]
        person.values = {"profession": rng.choice(_JOBS), "birth_year": str(rng.randrange(1520, 1900))}
    for company in companies:
        company.links = {"seat": rng.choice(towns)}
        company.values = {"product": rng.choice(_PRODUCTS), "founding_year": str(rng.randrange(1600, 1950))}
    everything = [*rivers, *regions, *towns, *people, *companies]
    rng.shuffle(everything)
    for place, entity in enumerate(everything, 1):
        entity.id = f"d{place}"
        rows = list(entity.links.items())
        rng.shuffle(rows)
        entity.links = dict(rows)
    return World({entity.id: entity for entity in everything}, _index(everything), Lock())


def _index(entities: list[Entity]) -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute("CREATE VIRTUAL TABLE documents USING fts5(id UNINDEXED, title, body)")
    index.executemany("INSERT INTO documents VALUES (?, ?, ?)", [(e.id, e.name, e.text) for e in entities])
    return index


@dataclass(frozen=True, slots=True)
class Chain:
    """A question, and the documents on the way to its answer."""

    start: str
    """The id of the first document."""
    relations: tuple[str, ...]


def follow(number: int, start: str, relations: list[str]) -> tuple[list[Entity], str]:
    """The documents that hold the facts of a chain, and its answer.

    Raises:
        KeyError: there is no such document, or it has no such fact.
    """
    entity = world(number).entities[start]
    path = [entity]
    for relation in relations[:-1]:
        entity = entity.links[relation]
        path.append(entity)
    return path, entity.values[relations[-1]]


def draw_chain(rng: random.Random, number: int, hops: int) -> Chain:
    """A chain of so many facts that comes to no document twice."""
    entities = list(world(number).entities.values())
    while True:
        entity = start = rng.choice(entities)
        relations: list[str] = []
        visited = [entity.id]
        while len(relations) < hops - 1 and entity.links:
            relation = rng.choice(list(entity.links))
            entity = entity.links[relation]
            relations.append(relation)
            visited.append(entity.id)
        if len(visited) == hops and len(set(visited)) == hops:
            return Chain(start.id, (*relations, rng.choice(list(entity.values))))


def question_of(start: Entity, relations: tuple[str, ...]) -> str:
    """The question of a chain."""
    phrase = start.name
    for relation in relations:
        phrase = PHRASES[relation].format(phrase)
    return f"What is {phrase}?"
