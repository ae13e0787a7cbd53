"""Draws a repository with bugs, the issue about them, and the tests that decide."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from nemo_gym.environments.repository_tests import CallTest, unittest_file
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Draw, Kind, Module, Recorder, text_of
from nemo_gym.library.coding.swe_mini.kinds import ledger, matrices, parsers, planner, texts, warehouse

KINDS: Final[tuple[Kind, ...]] = (
    warehouse.KIND,
    texts.KIND,
    planner.KIND,
    parsers.KIND,
    matrices.KIND,
    ledger.KIND,
)
WITNESSES: Final = 3
"""Hidden tests that each bug makes fail."""


@dataclass(frozen=True, slots=True)
class Level:
    """The size of a task, and how much its issue says."""

    modules: int
    """The number of modules."""
    bugs: int
    place: str
    """What the issue says about the place of a bug: a format text with `path` and `function`."""
    example: bool
    """Whether the issue shows a call with its right result, which is also a visible test that fails."""


LEVELS: Final = (
    Level(3, 1, "The mistake is in `{function}` of `{path}`.", True),
    Level(4, 1, "The mistake is in `{path}`.", True),
    Level(6, 1, "The mistake is in the package `{package}`.", True),
    Level(8, 1, "", False),
    Level(8, 2, "", False),
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a task is made of."""

    issue: str
    files: dict[str, str]
    solution: dict[str, str]
    """The right text of each file with a bug."""
    hidden: list[CallTest]


@dataclass(frozen=True, slots=True)
class Part:
    """A package of a task: some modules of a kind, with other names."""

    kind: Kind
    package: str
    names: dict[str, str]
    modules: tuple[Module, ...]

    def path(self, module: Module) -> str:
        return f"{self.package}/{module.name}.py"

    def rename(self, text: str) -> str:
        """A text of the kind with the names of this task."""
        return rename(text, self.names)

    def test(self, rng: random.Random, draw: Draw, name: str) -> CallTest:
        """A test of the kind with the names of this task."""
        test = draw(rng, Recorder())
        setup = self.rename(test.setup).replace(f"from {self.kind.name}.", f"from {self.package}.")
        return msgspec.structs.replace(test, name=name, call=self.rename(test.call), setup=setup)


def draw_draft(rng: random.Random, number: int) -> Draft:
    """A task of a level from 0 to 4."""
    level = LEVELS[number]
    parts = draw_parts(rng, level)
    places = [(part, module, bug) for part in parts for module in part.modules for bug in module.bugs]
    bugs = draw_bugs(rng, places, level.bugs)
    files = {f"{part.package}/__init__.py": text_of(part.kind.package) for part in parts}
    files |= {part.path(module): part.rename(module.text) for part in parts for module in part.modules}
    solution: dict[str, str] = {}
    for part, module, bug in bugs:
        solution[part.path(module)] = files[part.path(module)]
        files[part.path(module)] = part.rename(break_text(module.text, bug))
    hidden = [*regressions(rng, parts), *witnesses(rng, bugs, WITNESSES)]
    visible = regressions(rng, parts)
    if level.example:
        visible += witnesses(rng, bugs, 1)
    files["test_visible.py"] = unittest_file(visible)
    return Draft(issue_text(level, bugs, visible[-len(bugs) :]), files, solution, hidden)


Place = tuple[Part, Module, Bug]


def draw_parts(rng: random.Random, level: Level) -> list[Part]:
    """One package, or two if one has too few modules."""
    most = max(len(kind.modules) for kind in KINDS)
    kinds = rng.sample(KINDS, -(-level.modules // most))
    counts = [level.modules // len(kinds)] * len(kinds)
    return [draw_part(rng, kind, count) for kind, count in zip(kinds, counts, strict=True)]


def draw_part(rng: random.Random, kind: Kind, count: int) -> Part:
    """So many modules of a kind, with all that they import."""
    chosen: set[str] = set()
    for module in rng.sample(kind.modules, len(kind.modules)):
        closed = chosen | kind.closed(module.name)
        chosen = closed if len(closed) <= count else chosen
    names = {old: rng.choice((old, *new)) for old, new in kind.names.items()}
    modules = tuple(module for module in kind.modules if module.name in chosen)
    return Part(kind, rng.choice(kind.packages), names, modules)


def draw_bugs(rng: random.Random, places: Sequence[Place], count: int) -> list[Place]:
    """Bugs of different modules, of which none imports another one, so that every bug has its own symptom."""
    bugs: list[Place] = []
    for place in rng.sample(places, len(places)):
        if len(bugs) < count and all(apart(place, other) for other in bugs):
            bugs.append(place)
    return bugs


def apart(one: Place, other: Place) -> bool:
    """Whether the bugs of two places are in modules that don't need each other."""
    if one[0] is not other[0]:
        return True
    return not {one[1].name, other[1].name} & {*one[1].needs, *other[1].needs} and one[1] is not other[1]


def break_text(text: str, bug: Bug) -> str:
    """The text of a module with a bug.

    Raises:
        ValueError: the right text does not occur exactly once.
    """
    if text.count(bug.right) != 1:
        raise ValueError(f"{bug.right!r} must occur once")
    return text.replace(bug.right, bug.wrong)


def regressions(rng: random.Random, parts: Iterable[Part]) -> list[CallTest]:
    """A test of each kind for every module."""
    return [
        part.test(rng, draw, f"{module.name}_{draw.__name__}")
        for part in parts
        for module in part.modules
        for draw in module.draws
    ]


def witnesses(rng: random.Random, bugs: Iterable[Place], count: int) -> list[CallTest]:
    """Tests that the bugs make fail, so many for each."""
    return [
        part.test(rng, bug.witness, f"issue_{module.name}_{number}")
        for part, module, bug in bugs
        for number in range(count)
    ]


def issue_text(level: Level, bugs: Sequence[Place], examples: Sequence[CallTest]) -> str:
    """The issue: the symptoms, and on the lower levels the place and an example."""
    lines = [f"- {bug.symptom}" for _, _, bug in bugs] if len(bugs) > 1 else [bugs[0][2].symptom]
    for part, module, bug in bugs if level.place else ():
        function = part.rename(bug.function)
        lines.append(level.place.format(path=part.path(module), function=function, package=part.package))
    for test in examples if level.example else ():
        result = f"raise {test.raises}" if test.expected is None else f"be `{test.expected}`"
        lines += ["For example, after this code", "```python", test.setup, "```"]
        lines.append(f"the result of `{test.call}` should {result}.")
    return "\n".join(lines)


def rename(text: str, names: Mapping[str, str]) -> str:
    """A text with other names; the names are whole words."""
    return re.sub(rf"\b(?:{'|'.join(names)})\b", lambda match: names[match[0]], text)
