"""Problems, and the families of problems that each have a generator and a checker."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Facts: TypeAlias = Mapping[str, Any]
"""The metadata of a row: plain JSON values."""


class Problem(NamedTuple):
    """A question, one right answer, and the facts with which a checker recognises other right answers.

    `metadata["hardness"]` is a number in the unit that the family's `measure` names.
    """

    question: str
    answer: str
    metadata: dict[str, Any]


Generator: TypeAlias = Callable[[random.Random, int], Problem]
"""The same state of the random generator and the same level (0 to 4) give the same problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A generator of problems, the form of their answers, and the check of an answer."""

    make: Generator
    reply: str
    """What to answer with, as the end of a sentence that begins with "Reply with only"."""
    measure: str
    """The unit of `hardness`."""
    read: Callable[[str], str | None]
    """The canonical form of an answer; None for a text that is no answer of this form."""
    accepts: Callable[[str, Facts], bool] | None = None
    """Whether an answer in canonical form is right. By default only the row's own answer is right."""
    weight: int = 1
    """The family's share of the default mixture."""

    @property
    def name(self) -> str:
        return self.make.__name__

    def is_right(self, given: str, answer: str, facts: Facts) -> bool:
        """Whether an answer in canonical form solves the problem; `answer` is the row's own."""
        return self.accepts(given, facts) if self.accepts else given == self.read(answer)


class Families(list[Family]):
    """The families of one module, in the order of their generators."""

    def add(self, **properties: Any) -> Callable[[Generator], Generator]:
        """A decorator that makes a family of a generator; the properties are those of `Family`."""

        def register(make: Generator) -> Generator:
            self.append(Family(make=make, **properties))
            return make

        return register


def listing(items: Sequence[object]) -> str:
    """Items as people list them: `1, 2 and 3`."""
    return f"{', '.join(map(str, items[:-1]))} and {items[-1]}"
