"""The small immutable trees that a final answer is read into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from nemo_gym.verifiers.math.units import Unit


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
    """Plain text, case-folded."""

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
    """A value with a percent sign, a degree sign, or "rad" for radians."""

    node: Node
    mark: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit of measure or the noun of counted things."""

    node: Node
    unit: Unit


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day as written; `half` is "am", "pm" or empty."""

    hour: int
    minute: int
    second: int
    half: str


@dataclass(frozen=True, slots=True)
class Series:
    """A finite sum or product (`kind` is "sum" or "prod") over a whole-number index."""

    kind: str
    index: str
    low: Node
    high: Node
    body: Node


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
class Combination:
    """Sets joined by a union, intersection or difference sign, or statements joined by a connective."""

    operator: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Builder:
    """A set of all `head` for which the conditions hold."""

    head: Node
    conditions: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """An answer with notes on where it holds, as in `x + 1, x != 1`."""

    node: Node
    notes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Modular:
    """An answer up to multiples of `modulus`, as in `x = 5 (mod 7)`."""

    node: Node
    modulus: Node


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of entries."""

    rows: tuple[tuple[Node, ...], ...]


Node = (
    Number | Symbol | Constant | Based | Words | Sum | Product | Power | Apply | PlusMinus | Marked
    | Quantity | Clock | Series | Relation | Group | Listing | Combination | Builder | Noted | Modular
    | Matrix
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
        case (
            Sum(parts)
            | Product(parts)
            | Apply(_, parts)
            | Combination(_, parts)
            | Listing(parts, _)
            | Relation(parts, _)
            | Group(_, _, parts)
        ):
            return parts
        case Power(base, exponent):
            return (base, exponent)
        case PlusMinus(part, _) | Marked(part, _) | Quantity(part, _):
            return (part,)
        case Builder(part, others) | Noted(part, others):
            return (part, *others)
        case Series(_, _, low, high, body):
            return (low, high, body)
        case Modular(part, modulus):
            return (part, modulus)
        case Matrix(rows):
            return tuple(entry for row in rows for entry in row)
        case _:
            return ()


def rebuild(node: Node, parts: tuple[Node, ...]) -> Node:
    """Return the node with other parts, given in the order of `children`."""
    match node:
        case Sum():
            return Sum(parts)
        case Product():
            return Product(parts)
        case Apply(name):
            return Apply(name, parts)
        case Combination(operator):
            return Combination(operator, parts)
        case Listing(_, joint):
            return Listing(parts, joint)
        case Relation(_, operators):
            return Relation(parts, operators)
        case Group(opening, closing):
            return Group(opening, closing, parts)
        case Power():
            return Power(parts[0], parts[1])
        case PlusMinus():
            return replace(node, term=parts[0])
        case Marked() | Quantity():
            return replace(node, node=parts[0])
        case Builder():
            return Builder(parts[0], parts[1:])
        case Noted():
            return Noted(parts[0], parts[1:])
        case Modular():
            return Modular(parts[0], parts[1])
        case Series(kind, index):
            return Series(kind, index, *parts)
        case Matrix(rows):
            entries = iter(parts)
            return Matrix(tuple(tuple(next(entries) for _ in row) for row in rows))
        case _:
            return node


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(children(current))


def transform(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return the tree with `change` applied to every node, from the leaves up."""
    parts = children(node)
    return change(rebuild(node, tuple(transform(part, change) for part in parts)) if parts else node)


def choose_sign(node: Node, sign: int) -> Node:
    """Return the tree with every plus-minus sign resolved to `sign` (+1 or -1)."""

    def resolve(part: Node) -> Node:
        if not isinstance(part, PlusMinus):
            return part
        return part.term if part.sign == sign else negate(part.term)

    return transform(node, resolve)


def rename(node: Node, name: str, other: str) -> Node:
    """Return the tree with the variable `name` called `other`."""
    return transform(node, lambda part: Symbol(other) if part == Symbol(name) else part)


def variables(*nodes: Node) -> tuple[str, ...]:
    """Return the sorted names of the free variables."""
    return tuple(sorted(set[str]().union(*map(_free, nodes))))


def _free(node: Node) -> set[str]:
    match node:
        case Symbol(name):
            return {name}
        case Series(_, index, low, high, body):
            return _free(low) | _free(high) | (_free(body) - {index})
        case _:
            return set[str]().union(*map(_free, children(node)))
