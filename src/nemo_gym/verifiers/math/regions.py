"""Sets of real numbers: intervals, points, inequalities and their unions, intersections and differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from nemo_gym.verifiers.math.evaluate import Budget, Evaluator, Undefined
from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Apply,
    Builder,
    Combination,
    Constant,
    Group,
    Listing,
    Node,
    Number,
    Product,
    Relation,
    Sum,
    Symbol,
    negate,
    variables,
)

MAX_BREAKS = 64
SAME_PLACE = 1e-12


@dataclass(frozen=True, slots=True)
class Break:
    """A place on the line where membership may change, with the tree of the place."""

    place: Fraction | float
    node: Node


@dataclass(frozen=True, slots=True)
class Region:
    """A set: whether each break belongs to it, and each gap before, between and after the breaks."""

    breaks: tuple[Break, ...]
    at: tuple[bool, ...]
    between: tuple[bool, ...]

    def holds(self, place: Fraction) -> bool:
        """Whether a number belongs to the set."""
        here = Break(place, Number(place))
        for own, belongs in zip(self.breaks, self.at, strict=True):
            if _same_place(own, here):
                return belongs
        return self.between[sum(own.place <= place for own in self.breaks)]


EMPTY = Region((), (), (False,))
LINE = Region((), (), (True,))


@dataclass
class Regions:
    """Reads trees as sets of real numbers; `names` are the variables that their inequalities use."""

    budget: Budget
    names: set[str] = field(default_factory=set[str])

    def read(self, node: Node) -> Region | None:
        """Return the set that a node describes, or None when it describes something else."""
        match node:
            case Group("{", "}", items):
                return self._fold(bool.__or__, [self._point(item) for item in items], EMPTY)
            case Group(("(" | "[") as opening, (")" | "]") as closing, (low, high)):
                return self._interval(low, high, opening == "[", closing == "]")
            case Relation((Symbol(name), inner), ("∈",)):
                self.names.add(name)
                return self.read(inner)
            case Relation():
                return self._inequality(node)
            case Builder(Symbol(name), conditions):
                return self._builder(name, conditions)
            case Combination("∪" | "∨", parts) | Listing(parts, "or"):
                return self._fold(bool.__or__, [self._statement(part) for part in parts], EMPTY)
            case Combination("∩" | "∧", parts):
                return self._fold(bool.__and__, [self._statement(part) for part in parts], LINE)
            case Listing(parts, "and") if all(isinstance(part, Relation) for part in parts):
                return self._fold(bool.__and__, [self.read(part) for part in parts], LINE)
            case Listing(parts, _) if all(map(_is_condition, parts)) and any(
                isinstance(part, Relation) and part.operators == ("!=",) for part in parts
            ):
                return self._fold(bool.__and__, [self.read(part) for part in parts], LINE)
            case Listing((Relation(operators=(low,)), Relation(operators=(high,))) as parts, ",") if (
                _is_bound(low) and _is_bound(high)
            ):
                return self._bounds(parts)
            case Combination("∖", (whole, part)):
                return self._fold(_without, [self.read(whole), self.read(part)], None)
            case Sum((whole, Product((first, Group("{") as part)))) if first == MINUS_ONE:
                return self._fold(_without, [self.read(whole), self.read(part)], None)
            case Apply("not", (inner,)):
                return self._fold(_without, [LINE, self.read(inner)], None)
            case _:
                return None

    def _builder(self, name: str, conditions: tuple[Node, ...]) -> Region | None:
        """Return the numbers that fulfil all conditions; whole ones only if a condition says so."""
        whole = [condition for condition in conditions if _is_whole(condition, name)]
        parts = [self.read(condition) for condition in conditions if condition not in whole]
        region = self._fold(bool.__and__, parts, LINE)
        if region is None or not self.names <= {name}:
            return None
        if not whole:
            return region
        if len(region.breaks) < 2 or region.between[0] or region.between[-1]:
            return None
        low, high = math.ceil(region.breaks[0].place), math.floor(region.breaks[-1].place)
        if high - low >= MAX_BREAKS:
            return None
        places = [Fraction(place) for place in range(low, high + 1) if region.holds(Fraction(place))]
        self.names.clear()
        return self._fold(bool.__or__, [self._point(Number(place)) for place in places], EMPTY)

    def _bounds(self, parts: tuple[Node, ...]) -> Region | None:
        """Return the numbers between a lower and an upper bound, or else those beyond either."""
        regions = [self.read(part) for part in parts]
        if any(part is None for part in regions) or len({part.between[0] for part in regions if part}) < 2:
            return None
        between = self._fold(bool.__and__, regions, LINE)
        return self._fold(bool.__or__, regions, EMPTY) if between == EMPTY else between

    def _statement(self, node: Node) -> Region | None:
        match node:
            case Relation((Symbol(name), value), ("=",)):
                self.names.add(name)
                return self._point(value)
            case _:
                return self.read(node)

    def _fold(
        self, rule: Callable[[bool, bool], bool], parts: list[Region | None], start: Region | None
    ) -> Region | None:
        regions = [part for part in parts if part is not None]
        if len(regions) != len(parts):
            return None
        result, rest = (regions[0], regions[1:]) if start is None else (start, regions)
        for region in rest:
            result = _combine(rule, result, region)
            self.budget.spend(4 + len(result.breaks))
            if len(result.breaks) > MAX_BREAKS:
                return None
        return result

    def _place(self, node: Node) -> Break | None:
        """Return the place of a number on the line; None for anything but a real number."""
        if variables(node):
            return None
        try:
            value = Evaluator(self.budget).value(node)
        except Undefined:
            return None
        if isinstance(value, Fraction):
            return Break(value, node)
        return None if value.imag else Break(value.real, node)

    def _point(self, node: Node) -> Region | None:
        place = self._place(node)
        return None if place is None else Region((place,), (True,), (False, False))

    def _interval(self, low: Node, high: Node, low_closed: bool, high_closed: bool) -> Region | None:
        """Return an interval; None when it is empty or has an end that is no real number."""
        infinity = Constant("infinity")
        if (low_closed and low == negate(infinity)) or (high_closed and high == infinity):
            return None
        region: Region | None = LINE
        if low != negate(infinity):
            start = self._place(low)
            region = None if start is None else Region((start,), (low_closed,), (False, True))
        if high != infinity and region is not None:
            stop = self._place(high)
            if stop is None or (region.breaks and region.breaks[0].place > stop.place):
                return None
            region = _combine(bool.__and__, region, Region((stop,), (high_closed,), (True, False)))
        return region

    def _inequality(self, node: Relation) -> Region | None:
        infinity = Constant("infinity")
        sides, operators = node.sides, node.operators
        if operators and all(sign in (">", ">=") for sign in operators):
            sides = sides[::-1]
            operators = tuple("<" + sign[1:] for sign in reversed(operators))
        match sides, operators:
            case (low, Symbol(name), high), (("<" | "<=") as left, ("<" | "<=") as right):
                region = self._interval(low, high, left == "<=", right == "<=")
            case (Symbol(name), high), (("<" | "<=") as right,):
                region = self._interval(negate(infinity), high, False, right == "<=")
            case (low, Symbol(name)), (("<" | "<=") as left,):
                region = self._interval(low, infinity, left == "<=", False)
            case (Apply("abs", (Symbol(name),)), size), (("<" | "<=") as right,):
                region = self._interval(negate(size), size, right == "<=", right == "<=")
            case (size, Apply("abs", (Symbol(name),))), (("<" | "<=") as left,):
                includes_ends = left == "<="
                inside = self._interval(negate(size), size, not includes_ends, not includes_ends)
                region = self._fold(_without, [LINE, inside], None)
            case (((Symbol(name), value) | (value, Symbol(name))), ("!=",)):
                region = self._fold(_without, [LINE, self._point(value)], None)
            case _:
                return None
        self.names.add(name)
        return region


def _is_condition(node: Node) -> bool:
    return isinstance(node, Relation) and "=" not in node.operators and "~" not in node.operators


def _is_bound(operator: str) -> bool:
    return operator in ("<", "<=", ">", ">=")


def _is_whole(condition: Node, name: str) -> bool:
    return condition == Relation((Symbol(name), Symbol("\\mathbbZ")), ("∈",))


def _without(left: bool, right: bool) -> bool:
    return left and not right


def _combine(rule: Callable[[bool, bool], bool], left: Region, right: Region) -> Region:
    """Walk along the breaks of both regions, and keep those where the joined membership changes."""
    breaks: list[Break] = []
    at: list[bool] = []
    between = [rule(left.between[0], right.between[0])]
    i = j = 0
    while i < len(left.breaks) or j < len(right.breaks):
        own = left.breaks[i] if i < len(left.breaks) else None
        other = right.breaks[j] if j < len(right.breaks) else None
        both = own is not None and other is not None and _same_place(own, other)
        first = both or other is None or (own is not None and own.place < other.place)
        second = both or not first
        inside = rule(
            left.at[i] if first else left.between[i],
            right.at[j] if second else right.between[j],
        )
        i, j = i + first, j + second
        gap = rule(left.between[i], right.between[j])
        place = own if first else other
        if place is not None and not between[-1] == inside == gap:
            breaks.append(place)
            at.append(inside)
            between.append(gap)
    return Region(tuple(breaks), tuple(at), tuple(between))


def _same_place(left: Break, right: Break) -> bool:
    a, b = left.place, right.place
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    return abs(float(a) - float(b)) <= SAME_PLACE * max(1.0, abs(float(a)))
