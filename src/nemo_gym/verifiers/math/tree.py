"""The small immutable trees that a final answer is read into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; `decimals` counts digits after the point, `digits` the significant ones."""

    value: Fraction
    decimals: int = 0
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """`pi`, `e`, `i` or `infinity`."""

    name: str


@dataclass(frozen=True, slots=True)
class Based:
    """Digits written in a stated base, as in 101_2."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Words:
    """Text that stands for itself, case-folded."""

    text: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Two or more terms added."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Two or more factors multiplied; division is a factor to the power -1."""

    factors: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """A base raised to an exponent."""

    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Apply:
    """A named function of its arguments."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class PlusMinus:
    """Either sign of a term; `sign` is +1 for the plus-minus sign and -1 for minus-plus."""

    term: Node
    sign: int


@dataclass(frozen=True, slots=True)
class Marked:
    """A value with a percent or degree sign."""

    node: Node
    mark: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain such as a < b < c: one operator fewer than sides."""

    sides: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Items between brackets: a tuple, an interval or (with braces) a set."""

    opening: str
    closing: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Items separated by commas or `and`, or alternatives separated by `or`."""

    items: tuple[Node, ...]
    joint: str


@dataclass(frozen=True, slots=True)
class Union:
    """Sets or intervals joined by the union sign."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of entries."""

    rows: tuple[tuple[Node, ...], ...]


Node = (
    Number | Symbol | Constant | Based | Words | Sum | Product | Power | Apply | PlusMinus | Marked
    | Relation | Group | Listing | Union | Matrix
)  # fmt: skip

ONE = Number(Fraction(1))
MINUS_ONE = Number(Fraction(-1))


class Unreadable(Exception):
    """Raised when text is no answer that can be read within the bounds."""


def negate(node: Node) -> Node:
    """Return the tree of -node."""
    match node:
        case Number(value, decimals, digits):
            return Number(-value, decimals, digits)
        case _:
            return Product((MINUS_ONE, node))


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct parts of a node."""
    match node:
        case Sum(parts) | Product(parts) | Apply(_, parts) | Union(parts) | Listing(parts, _):
            return parts
        case Relation(parts, _) | Group(_, _, parts):
            return parts
        case Power(base, exponent):
            return (base, exponent)
        case PlusMinus(part, _) | Marked(part, _):
            return (part,)
        case Matrix(rows):
            return tuple(entry for row in rows for entry in row)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(children(current))


def choose_sign(node: Node, sign: int) -> Node:
    """Return the tree with every plus-minus sign resolved to `sign` (+1 or -1)."""
    match node:
        case PlusMinus(term, own):
            chosen = choose_sign(term, sign)
            return chosen if own == sign else negate(chosen)
        case Sum(parts):
            return Sum(tuple(choose_sign(part, sign) for part in parts))
        case Product(parts):
            return Product(tuple(choose_sign(part, sign) for part in parts))
        case Power(base, exponent):
            return Power(choose_sign(base, sign), choose_sign(exponent, sign))
        case Apply(name, parts):
            return Apply(name, tuple(choose_sign(part, sign) for part in parts))
        case Marked(part, mark):
            return Marked(choose_sign(part, sign), mark)
        case Relation(parts, operators):
            return Relation(tuple(choose_sign(part, sign) for part in parts), operators)
        case Group(opening, closing, parts):
            return Group(opening, closing, tuple(choose_sign(part, sign) for part in parts))
        case _:
            return node
