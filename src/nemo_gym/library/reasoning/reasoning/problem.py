"""What a family of problems is made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

LEVELS = range(5)

Facts = Mapping[str, Any]
"""The metadata of a row: plain JSON values."""


class Problem(NamedTuple):
    """A question, one right answer, and what a checker needs to recognise the others.

    `metadata["hardness"]` is a number in the unit that the family's `measure` names.
    """

    question: str
    answer: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A generator with its answer format and its idea of a right answer."""

    make: Callable[[random.Random, int], Problem]
    """The same generator state and level (0 to 4) give the same problem."""
    reply: str
    """What to answer with, to follow "Reply with only"."""
    measure: str
    """What `hardness` counts."""
    read: Callable[[str], str | None]
    """The canonical form of an answer of the asked kind; None for text that is none."""
    accepts: Callable[[str, Facts], bool] | None = None
    """Whether a canonical answer is right; without it the only right answer is the row's own."""
    weight: int = 1
    """Share of the default mixture."""

    @property
    def name(self) -> str:
        return self.make.__name__

    def is_right(self, given: str, answer: str, facts: Facts) -> bool:
        """Whether `given`, in canonical form, solves the problem."""
        return self.accepts(given, facts) if self.accepts else given == self.read(answer)
