"""Whether two trees are the same answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from nemo_gym.verifiers.math.evaluate import Budget, Evaluator, Undefined, Value
from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Based,
    Constant,
    Group,
    Listing,
    Marked,
    Matrix,
    Node,
    Number,
    PlusMinus,
    Power,
    Product,
    Relation,
    Sum,
    Symbol,
    Union,
    Words,
    choose_sign,
    negate,
    walk,
)

MAX_ITEMS = 64
TOLERANCE = 1e-9
MIN_POINTS = 3


def same(gold: Node, prediction: Node, budget: Budget) -> bool:
    """Whether `prediction` answers `gold`; raises Exhausted when the budget runs out first."""
    return _Comparison(budget).same(_with_signs_listed(gold), _with_signs_listed(prediction))


@dataclass(frozen=True, slots=True)
class _Interval:
    low: Node
    high: Node
    low_closed: bool
    high_closed: bool


@dataclass
class _Comparison:
    budget: Budget
    drawn: dict[tuple[str, ...], list[dict[str, Fraction]]] = field(
        default_factory=dict[tuple[str, ...], list[dict[str, Fraction]]]
    )

    def same(self, gold: Node, prediction: Node) -> bool:
        self.budget.spend(4)
        if gold == prediction:
            return True
        regions = self.same_regions(gold, prediction)
        if regions is not None:
            return regions
        match gold, prediction:
            case (Relation(), _) | (_, Relation()):
                return self.same_relations(gold, prediction)
            case Words(left), Words(right):
                return left == right
            case (Listing(_, ":"), _) | (_, Listing(_, ":")):
                return self.same_ratios(gold, prediction)
            case Matrix(left), Matrix(right):
                return len(left) == len(right) and all(map(self.same_in_order, left, right))
            case (Matrix(rows), Group("(" | "[", ")" | "]", items)) | (
                Group("(" | "[", ")" | "]", items),
                Matrix(rows),
            ):
                entries = _vector(rows)
                if gold is prediction or entries is None:
                    return False
                return (
                    self.same_in_order(entries, items)
                    if isinstance(gold, Matrix)
                    else self.same_in_order(items, entries)
                )
            case Union(left), Union(right):
                return self.same_in_any_order(left, right)
            case (Listing() | Group(), _) | (_, Listing() | Group()):
                return self.same_collections(gold, prediction)
            case (Matrix() | Words() | Union(), _) | (_, Matrix() | Words() | Union()):
                return False
            case _:
                return self.same_values(gold, prediction)

    def same_in_order(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        return len(gold) == len(prediction) and all(map(self.same, gold, prediction))

    def same_in_any_order(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        if len(gold) != len(prediction) or len(gold) > MAX_ITEMS:
            return False
        remaining = list(prediction)
        for wanted in gold:
            position = next((at for at, item in enumerate(remaining) if self.same(wanted, item)), None)
            if position is None:
                return False
            del remaining[position]
        return True

    def same_collections(self, gold: Node, prediction: Node) -> bool:
        """Sets and bare lists have no order; tuples have one, and lend it to a bare list they meet."""
        match gold, prediction:
            case Listing(left), Listing(right):
                return self.same_in_any_order(left, right)
            case (Group("{", "}", left), Listing(right)) | (Listing(left), Group("{", "}", right)):
                return self.same_in_any_order(left, right)
            case Group("{", "}", left), Group("{", "}", right):
                return self.same_in_any_order(left, right)
            case (Group("(", ")", left), Listing(right)) | (Listing(left), Group("(", ")", right)):
                return self.same_in_order(_unlabelled(left), _unlabelled(right))
            case Group(opening, closing, left), Group(opening_too, closing_too, right):
                return (opening, closing) == (opening_too, closing_too) and self.same_in_order(left, right)
            case (Group("{", "}", (item,)), other) | (Group("[", "]", (item,)), other):
                return self.same(item, other)
            case (other, Group("{", "}", (item,))) | (other, Group("[", "]", (item,))):
                return self.same(other, item)
            case _:
                return False

    def same_ratios(self, gold: Node, prediction: Node) -> bool:
        match gold, prediction:
            case Listing(left, ":"), Listing(right, ":"):
                if len(left) != len(right):
                    return False
                pairs = zip(left[1:], right[1:], strict=True)
                return all(self.same_values(Product((a, right[0])), Product((b, left[0]))) for a, b in pairs)
            case _:
                return False

    def same_regions(self, gold: Node, prediction: Node) -> bool | None:
        """Compare inequalities with intervals; None when that isn't what these are."""
        if isinstance(gold, Group) and isinstance(prediction, Group):
            return None
        left, right = _regions(gold), _regions(prediction)
        if left is None or right is None or len(left) != len(right):
            return None
        remaining = list(right)
        for wanted in left:
            position = next(
                (at for at, found in enumerate(remaining) if self.same_interval(wanted, found)), None
            )
            if position is None:
                return False
            del remaining[position]
        return not _variables_differ(gold, prediction)

    def same_interval(self, gold: _Interval, prediction: _Interval) -> bool:
        return (
            gold.low_closed == prediction.low_closed
            and gold.high_closed == prediction.high_closed
            and self.same(gold.low, prediction.low)
            and self.same(gold.high, prediction.high)
        )

    def same_relations(self, gold: Node, prediction: Node) -> bool:
        gold_label, gold_value = self.labelled(gold)
        label, value = self.labelled(prediction)
        one_sided = gold_value is None or value is None
        if not one_sided and _labels_agree(gold_label, label):
            return self.same(gold_value or gold, value or prediction)
        match gold, prediction:
            case Relation((a, b), ("=",)), Relation((c, d), ("=",)):
                return self.proportional(_difference(a, b), _difference(c, d), signed=False)
            case Relation((a, b), (("<" | "<=" | ">" | ">=") as left,)), Relation(
                (c, d), (("<" | "<=" | ">" | ">=") as right,)
            ):
                if len(left) != len(right):
                    return False
                first = _difference(a, b) if left[0] == ">" else _difference(b, a)
                second = _difference(c, d) if right[0] == ">" else _difference(d, c)
                return self.proportional(first, second, signed=True)
            case Relation(left, operators), Relation(right, operators_too) if operators == operators_too:
                return self.same_in_order(left, right)
            case _:
                return False

    def labelled(self, node: Node) -> tuple[str, Node | None]:
        """Split `x = 5` into its label and value; a chain of equal sides has its last side for value.

        The value is None when the relation isn't of that kind.
        """
        if not isinstance(node, Relation):
            return "", node
        label = _label(node.sides[0])
        match node.operators:
            case ("∈",) if label:
                return label, node.sides[1]
            case ("=",) if not label and (label := _label(node.sides[1])):
                return label, node.sides[0]
            case operators if all(operator in "=~" for operator in operators):
                sides = node.sides[1:] if label else node.sides
                between = operators[1:] if label else operators
                exact = sides[: between.index("~") + 1] if "~" in between else sides
                if not label and _variables(*exact):
                    return "", None
                agree = all(self.same(exact[0], side) for side in exact[1:])
                return (label, exact[-1]) if agree else ("", None)
            case _:
                return "", None

    def same_values(self, gold: Node, prediction: Node) -> bool:
        match gold, prediction:
            case Based(digits, base), Based(digits_too, base_too):
                return _in_base(digits, base) == _in_base(digits_too, base_too) is not None
            case (Based(digits), Number(value)) | (Number(value), Based(digits)):
                return digits == str(value)
            case _:
                pass
        infinity, infinity_too = _infinite(gold), _infinite(prediction)
        if infinity or infinity_too:
            return infinity == infinity_too
        names = _variables(gold, prediction)
        if self.identical(gold, prediction, names) if names else self.close(gold, prediction):
            return True
        bare, bare_too = _unmarked(gold), _unmarked(prediction)
        if (bare is None) == (bare_too is None):
            return False
        return self.same_values(bare or gold, bare_too or prediction)

    def close(self, gold: Node, prediction: Node) -> bool:
        """Compare two values without variables: exactly, or within the precision of a decimal literal."""
        one, other = Evaluator(self.budget), Evaluator(self.budget)
        try:
            a, b = one.value(gold), other.value(prediction)
        except Undefined:
            return False
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            if a == b:
                return True
        elif _near(a, b, one.scale, other.scale):
            return True
        return _is_rounding(gold, b) or _long_decimal_of(prediction, a)

    def identical(self, gold: Node, prediction: Node, names: tuple[str, ...]) -> bool:
        """Compare two formulas at fixed points, over the reals if they are defined there."""
        imaginary = any(part == Constant("i") for node in (gold, prediction) for part in walk(node))
        for real in (False,) if imaginary else (True, False):
            agreed = 0
            for point in self.points(names):
                one, other = Evaluator(self.budget, point, real), Evaluator(self.budget, point, real)
                try:
                    a, b = one.value(gold), other.value(prediction)
                except Undefined:
                    continue
                if not (
                    a == b
                    if isinstance(a, Fraction) and isinstance(b, Fraction)
                    else _near(a, b, one.scale, other.scale)
                ):
                    return False
                agreed += 1
            if agreed:
                return agreed >= MIN_POINTS
        return False

    def proportional(self, gold: Node, prediction: Node, *, signed: bool) -> bool:
        """Whether one difference of sides is a constant multiple of the other: positive if `signed`."""
        names = _variables(gold, prediction)
        ratio: complex | None = None
        agreed = 0
        for point in self.points(names) if names else ():
            try:
                a = Evaluator(self.budget, point).value(gold)
                b = Evaluator(self.budget, point).value(prediction)
            except Undefined:
                continue
            if abs(a) < TOLERANCE or abs(b) < TOLERANCE:
                continue
            quotient = _quotient(b, a)
            if quotient is None:
                return False
            if ratio is None:
                ratio = quotient
            if abs(quotient - ratio) > TOLERANCE * abs(ratio) or (signed and quotient.real <= 0):
                return False
            agreed += 1
        return agreed > MIN_POINTS

    def points(self, names: tuple[str, ...]) -> list[dict[str, Fraction]]:
        if names not in self.drawn:
            self.drawn[names] = list(_points(names))
        return self.drawn[names]


def _points(names: tuple[str, ...]) -> Iterator[dict[str, Fraction]]:
    """Fixed points: positive, negative and mixed fractions, then whole numbers of both parities."""
    for trial in range(12):
        point: dict[str, Fraction] = {}
        for place, name in enumerate(names):
            draw = random.Random(f"{name}:{trial}")
            if trial >= 9:
                point[name] = Fraction(2 + place + draw.randrange(3) * 2 + trial % 2)
                continue
            size = Fraction(draw.randrange(60, 4_000), 997)
            negative = trial in (3, 4, 5) or (trial == 6 and place % 2) or (trial == 7 and place % 2 == 0)
            point[name] = -size if negative else size / (5 if trial == 8 else 1)
        yield point


def _near(a: Value, b: Value, scale: float, scale_too: float) -> bool:
    """Whether floats agree to nine digits; terms that cancelled leave noise in proportion to their size."""
    try:
        x, y = complex(a), complex(b)
    except OverflowError:
        return False
    size = max(abs(x), abs(y))
    if max(scale, scale_too) > 1e7 * max(size, 1.0):
        return False
    noise = 1e-13 * min(max(scale, scale_too), 1e3)
    return abs(x - y) <= (noise if size <= noise else max(TOLERANCE * size, min(noise, 1e-6 * size)))


def _quotient(top: Value, bottom: Value) -> complex | None:
    try:
        if isinstance(top, Fraction) and isinstance(bottom, Fraction):
            return complex(top / bottom)
        return complex(top) / complex(bottom)
    except OverflowError:
        return None


def _is_rounding(gold: Node, value: Value) -> bool:
    """Whether a decimal gold answer is `value` rounded to the places written.

    It must show two decimals or three digits; to take a longer decimal for a shorter one, both.
    """
    literal = _literal(gold)
    if literal is None or not literal.decimals or (not isinstance(value, Fraction) and value.imag):
        return False
    terminating = isinstance(value, Fraction) and _terminates(value)
    precise, wide = literal.decimals >= 2, literal.digits >= 3
    if not ((precise and wide) if terminating else (precise or wide)):
        return False
    return _within_half_unit(literal, value)


def _long_decimal_of(prediction: Node, value: Value) -> bool:
    """Whether the prediction is `value` written to at least ten digits."""
    literal = _literal(prediction)
    return literal is not None and literal.digits >= 10 and _within_half_unit(literal, value)


def _within_half_unit(literal: Number, value: Value) -> bool:
    exact = value if isinstance(value, Fraction) else Fraction(value.real)
    distance = abs(exact - literal.value)
    return 2 * distance * 10**literal.decimals <= 1 or (
        literal.digits >= 15 and distance <= abs(exact) * Fraction(1, 10**15)
    )


def _terminates(value: Fraction) -> bool:
    rest = value.denominator
    return rest.bit_length() < 1_024 and (10 ** rest.bit_length()) % rest == 0


def _literal(node: Node) -> Number | None:
    match node:
        case Number():
            return node
        case Product((Number(Fraction(numerator=-1, denominator=1)), inner)) | Marked(inner, _):
            return _literal(inner)
        case _:
            return None


def _unmarked(node: Node) -> Node | None:
    """Return the node without its percent or degree sign, or None when it has none."""
    match node:
        case Marked(inner, _):
            return inner
        case Product((first, Marked(inner, _))) if first == MINUS_ONE:
            return negate(inner)
        case _:
            return None


def _infinite(node: Node) -> int:
    match node:
        case Constant("infinity"):
            return 1
        case Product((first, Constant("infinity"))) if first == MINUS_ONE:
            return -1
        case _:
            return 0


def _variables(*nodes: Node) -> tuple[str, ...]:
    return tuple(sorted({part.name for node in nodes for part in walk(node) if isinstance(part, Symbol)}))


def _difference(left: Node, right: Node) -> Node:
    return Sum((left, negate(right)))


def _in_base(digits: str, base: int) -> int | None:
    try:
        return int(digits, base)
    except ValueError:
        return None


def _label(node: Node) -> str:
    """Return the name on the left of `x = ...`, `f(x) = ...` or `Area = ...`; empty for a formula."""
    match node:
        case Symbol(name) | Words(name):
            return name
        case Product((Symbol(name) | Power(Symbol(name), _), Symbol() | Number())) if name in _FUNCTION_NAMES:
            return f"{name}()"
        case _:
            return ""


_FUNCTION_NAMES = frozenset("fghpqFGPQ")


def _labels_agree(gold: str, label: str) -> bool:
    return not gold or not label or gold == label or gold.endswith("()") != label.endswith("()")


def _unlabelled(items: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(
        item.sides[1]
        if isinstance(item, Relation) and item.operators == ("=",) and _label(item.sides[0])
        else item
        for item in items
    )


def _vector(rows: tuple[tuple[Node, ...], ...]) -> tuple[Node, ...] | None:
    if len(rows) == 1:
        return rows[0]
    return tuple(row[0] for row in rows) if len(rows[0]) == 1 else None


def _regions(node: Node) -> list[_Interval] | None:
    """Return the intervals a node describes, or None when it describes something else."""
    match node:
        case Group(("(" | "[") as opening, (")" | "]") as closing, (low, high)):
            return [_Interval(low, high, opening == "[", closing == "]")]
        case Relation((label, inner), ("∈",)) if _label(label):
            return _regions(inner)
        case Relation():
            interval = _inequality(node)
            return None if interval is None else [interval]
        case Union(parts) | Listing(parts, "or"):
            found = [_regions(part) for part in parts]
            if any(part is None for part in found):
                return None
            return [interval for part in found for interval in part or ()]
        case _:
            return None


def _inequality(node: Relation) -> _Interval | None:
    infinity = Constant("infinity")
    sides, operators = node.sides, node.operators
    if operators and all(operator in (">", ">=") for operator in operators):
        sides = sides[::-1]
        operators = tuple("<" + operator[1:] for operator in reversed(operators))
    match sides, operators:
        case (low, Symbol(), high), ("<" | "<=" as left, "<" | "<=" as right):
            return _Interval(low, high, left == "<=", right == "<=")
        case (Symbol(), high), ("<" | "<=" as right,) if not _variables(high):
            return _Interval(negate(infinity), high, False, right == "<=")
        case (low, Symbol()), ("<" | "<=" as left,) if not _variables(low):
            return _Interval(low, infinity, left == "<=", False)
        case _:
            return None


def _variables_differ(gold: Node, prediction: Node) -> bool:
    left, right = _variables(gold), _variables(prediction)
    return bool(left and right and left != right)


def _with_signs_listed(node: Node) -> Node:
    """Return the node with each item that has a plus-minus sign replaced by its two values."""
    items = node.items if isinstance(node, Listing) and node.joint != ":" else (node,)
    listed: list[Node] = []
    for item in items:
        if any(isinstance(part, PlusMinus) for part in walk(item)):
            listed += [choose_sign(item, 1), choose_sign(item, -1)]
        else:
            listed.append(item)
    if len(listed) == 1:
        return node
    return Listing(tuple(listed), node.joint if isinstance(node, Listing) else ",")
