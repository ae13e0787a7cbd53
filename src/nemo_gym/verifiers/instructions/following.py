"""Which of the instructions of one task a text follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nemo_gym.verifiers.instructions.registry import MAX_TEXT, Check, find_instruction

MAX_INSTRUCTIONS: Final = 20
"""The most instructions of one task."""


@dataclass(frozen=True, slots=True)
class Following:
    """For each instruction whether the text follows it."""

    each: tuple[bool, ...]

    @property
    def all(self) -> bool:
        return all(self.each)

    @property
    def fraction(self) -> float:
        return sum(self.each) / len(self.each)


@dataclass(frozen=True, slots=True)
class InstructionList:
    """The checkers of one task."""

    checks: tuple[Check, ...]

    def strict(self, text: str) -> Following:
        """Judge the text as it is."""
        return Following(tuple(check(text) for check in self.checks))

    def loose(self, text: str) -> Following:
        """Judge the text and its variants; an instruction is followed when any of them follows it."""
        variants = loose_variants(text)
        return Following(tuple(any(check(one) for one in variants) for check in self.checks))


def check_instructions(ids: Sequence[str], kwargs: Sequence[Mapping[str, Any] | None]) -> InstructionList:
    """The checkers for the instructions of a task.

    Raises:
        ValueError: an id is unknown, arguments don't fit, or the two lists differ in length.
    """
    if not 1 <= len(ids) <= MAX_INSTRUCTIONS:
        raise ValueError(f"{len(ids)} instructions; 1 to {MAX_INSTRUCTIONS} are possible")
    if len(ids) != len(kwargs):
        raise ValueError(f"{len(ids)} instructions have {len(kwargs)} kwargs; each needs its own")
    return InstructionList(
        tuple(find_instruction(id).check(values) for id, values in zip(ids, kwargs, strict=True))
    )


def loose_variants(text: str) -> list[str]:
    """The text; without its first, its last and both lines; and each of these without `*`.

    A text that is too long to follow an instruction has no variants.
    """
    if len(text) > MAX_TEXT:
        return []
    lines = text.split("\n")
    parts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys([*parts, *(part.replace("*", "") for part in parts)]))
