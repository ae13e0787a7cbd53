"""The registry of instruction checkers: an id such as `keywords:existence`, and what its arguments are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, get_type_hints

import msgspec

from nemo_gym.wire.choices import explain_misfit, nearest_field
from nemo_gym.wire.errors import did_you_mean

Relation: TypeAlias = Literal["less than", "at least", "at most", "exactly"]
Check: TypeAlias = Callable[[str], bool]
"""Whether a text follows the instruction."""
F = TypeVar("F", bound=Callable[..., bool])

MAX_TEXT: Final = 50_000
"""The most characters of a text that can follow an instruction. A longer one is not read."""
MAX_NUMBER: Final = 20_000
MAX_WORD: Final = 300
"""The most characters of an argument, such as a keyword."""
MAX_PASSAGE: Final = 20_000
"""The most characters of an argument that holds a whole prompt or paragraph."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One kind of instruction: its checker and the type of its arguments."""

    id: str
    function: Callable[..., bool]
    arguments: type[msgspec.Struct]

    def check(self, kwargs: Mapping[str, Any] | None) -> Check:
        """The checker for these arguments. An argument of None counts as missing.

        A text on which the checker fails does not follow the instruction.

        Raises:
            ValueError: an argument is missing, unknown, or has a wrong value.
        """
        values = {name: _whole(value) for name, value in (kwargs or {}).items() if value is not None}
        try:
            arguments = msgspec.convert(values, self.arguments)
        except msgspec.ValidationError as error:
            reason = explain_misfit(error, self.arguments) + nearest_field(error, self.arguments)
            raise ValueError(f"kwargs of {self.id}: {reason}") from None
        fields = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        for name, value in fields.items():
            _check_size(self.id, name, value)

        def follows(text: str) -> bool:
            try:
                return bool(text.strip()) and len(text) <= MAX_TEXT and self.function(text, **fields)
            except _FAILURES:
                return False

        return follows


REGISTRY: Final[dict[str, Instruction]] = {}
"""Every instruction by its id."""


def instruction(*ids: str) -> Callable[[F], F]:
    """Register a checker. Its first parameter is the text, the named ones are the arguments."""

    def register(function: F) -> F:
        hints = get_type_hints(function)
        fields = [
            (
                name,
                hints[name],
                msgspec.NODEFAULT if parameter.default is parameter.empty else parameter.default,
            )
            for name, parameter in list(inspect.signature(function).parameters.items())[1:]
        ]
        arguments = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        for id in ids:
            REGISTRY[id] = Instruction(id, function, arguments)
        return function

    return register


def find_instruction(id: str) -> Instruction:
    """The instruction with this id.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    if id not in REGISTRY:
        raise ValueError(f"unknown instruction {id[:100]!r}.{did_you_mean(id[:100], REGISTRY)}")
    return REGISTRY[id]


def compare(count: int, relation: Relation, number: int) -> bool:
    """Whether a count is less than, at least, at most or exactly a number."""
    match relation:
        case "less than":
            return count < number
        case "at least":
            return count >= number
        case "at most":
            return count <= number
        case "exactly":
            return count == number


def _whole(value: Any) -> Any:
    """A whole number for a float such as 5.0, which is how tables store numbers beside empty cells."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_size(id: str, name: str, value: Any) -> None:
    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not 1 <= len(parts) <= 100:
        raise ValueError(f"kwargs of {id}: {name} has {len(parts)} entries; 1 to 100 are possible")
    limit = MAX_PASSAGE if name in _PASSAGES else MAX_WORD
    for part in parts:
        if isinstance(part, str) and not (part.strip() and len(part) <= limit):
            raise ValueError(f"kwargs of {id}: {name} has {len(part)} characters; 1 to {limit} are possible")
        if isinstance(part, int | float) and not 0 <= part <= MAX_NUMBER:
            raise ValueError(f"kwargs of {id}: {name} is {part}; 0 to {MAX_NUMBER} is possible")


_FAILURES = (ValueError, ArithmeticError, LookupError, RecursionError)
_PASSAGES = ("prompt_to_repeat", "reference_text", "original_paragraph")
