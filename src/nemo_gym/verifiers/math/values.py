"""Compares the values of two formulas: everywhere, or as written numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from nemo_gym.verifiers.math import precise
from nemo_gym.verifiers.math.evaluate import Budget, Evaluator, Undefined, Value
from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Apply,
    Constant,
    Marked,
    Node,
    Number,
    Product,
    negate,
    variables,
    walk,
)

TOLERANCE = 1e-9
MIN_POINTS = 3
SMALLEST = 1e-200
PRECISE_POINTS = 2
"""At how many points floats that agree are computed again to a hundred digits."""

Point = dict[str, Value]


@dataclass
class Values:
    """Compares values within one budget; the points at which it does so depend on the names alone."""

    budget: Budget
    drawn: dict[tuple[tuple[str, ...], bool], list[Point]] = field(
        default_factory=dict[tuple[tuple[str, ...], bool], list[Point]]
    )

    def same(self, gold: Node, prediction: Node) -> bool:
        """Whether two formulas are equal; a percent, degree or radian sign may be missing on one side."""
        infinity, infinity_too = _infinite(gold), _infinite(prediction)
        if infinity or infinity_too:
            return infinity == infinity_too
        names = variables(gold, prediction)
        if self.identical(gold, prediction, names) if names else self.close(gold, prediction):
            return True
        bare, bare_too = _unmarked(gold), _unmarked(prediction)
        if (bare is None) == (bare_too is None) or self.is_small_share(gold, prediction):
            return False
        return self.same(bare or gold, bare_too or prediction)

    def is_small_share(self, gold: Node, prediction: Node) -> bool:
        """Whether one side has a percent sign and both are below one: then 0.5% is not 0.5."""
        marks = [part.mark for node in (gold, prediction) for part in walk(node) if isinstance(part, Marked)]
        if marks != ["%"] or variables(gold, prediction):
            return False
        try:
            value = Evaluator(self.budget).value(_unmarked(gold) or gold)
        except Undefined:
            return True
        return 0 < abs(value) < 1

    def is_rough(self, exact: Node, rough: Node) -> bool:
        """Whether a number written behind an approximation sign is within its last digit, or one percent."""
        try:
            a, b = Evaluator(self.budget).value(exact), Evaluator(self.budget).value(rough)
        except Undefined:
            return False
        literal = _literal(rough)
        step = 10.0**-literal.decimals if literal else 0.0
        return _is_float_sized(a, b) and abs(complex(a) - complex(b)) <= max(
            0.5001 * step, 0.01 * abs(complex(a))
        )

    def close(self, gold: Node, prediction: Node) -> bool:
        """Compare two values without variables: exactly, or within the precision of a decimal literal."""
        one, other = Evaluator(self.budget), Evaluator(self.budget)
        try:
            a, b = one.value(gold), other.value(prediction)
        except Undefined:
            return self.agree_precisely(gold, prediction) is True
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            if a == b:
                return True
        elif self.floats_agree(gold, prediction, a, b, one, other):
            return True
        return _is_rounding(gold, b) or _long_decimal_of(prediction, a)

    def floats_agree(
        self,
        gold: Node,
        prediction: Node,
        a: Value,
        b: Value,
        one: Evaluator,
        other: Evaluator,
    ) -> bool:
        """Compare floats, and where they are too close or too coarse to tell, a hundred digits."""
        if _near(a, b, one.scale, other.scale):
            verdict = self.agree_precisely(gold, prediction, one.point, one.real)
            return verdict is True or (verdict is None and max(abs(a), abs(b)) > SMALLEST)
        size = max(abs(complex(a)), abs(complex(b)), 1.0) if _is_float_sized(a, b) else 0.0
        if size and max(one.scale, other.scale) <= 1e5 * size:
            return False
        return self.agree_precisely(gold, prediction, one.point, one.real) is True

    def agree_precisely(
        self, gold: Node, prediction: Node, point: Mapping[str, Value] | None = None, real: bool = False
    ) -> bool | None:
        """Compare to a hundred digits; None where that can't be done."""
        try:
            return precise.agree(gold, prediction, self.budget, point, real=real)
        except Undefined:
            return None

    def identical(self, gold: Node, prediction: Node, names: tuple[str, ...]) -> bool:
        """Compare two formulas at fixed points, over the reals if they are defined there."""
        parts = [part for node in (gold, prediction) for part in walk(node)]
        conjugate = any(isinstance(part, Apply) and part.name == "conj" for part in parts)
        imaginary = conjugate or Constant("i") in parts
        for real in (False,) if imaginary else (True, False):
            verdicts: list[bool] = []
            for point in self.points(names, conjugate):
                verdict = self.agree_at(point, gold, prediction, real, len(verdicts) < PRECISE_POINTS)
                if verdict is False:
                    return False
                verdicts += [True] if verdict else []
            if verdicts:
                return len(verdicts) >= MIN_POINTS
        return False

    def agree_at(
        self, point: Point, gold: Node, prediction: Node, real: bool, precisely: bool
    ) -> bool | None:
        """Compare two formulas at one point; None where one is undefined."""
        one, other = Evaluator(self.budget, point, real), Evaluator(self.budget, point, real)
        try:
            a, b = one.value(gold), other.value(prediction)
        except Undefined:
            return self.agree_precisely(gold, prediction, point, real)
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a == b
        if precisely:
            return self.floats_agree(gold, prediction, a, b, one, other)
        return _near(a, b, one.scale, other.scale)

    def proportional(self, gold: Node, prediction: Node, *, signed: bool) -> bool:
        """Whether one difference of sides is a constant multiple of the other: positive if `signed`."""
        names = variables(gold, prediction)
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

    def points(self, names: tuple[str, ...], turned: bool = False) -> list[Point]:
        """Return fixed points for these names: off the real line if `turned`."""
        if (names, turned) not in self.drawn:
            self.drawn[names, turned] = list(_turned_points(names) if turned else _points(names))
        return self.drawn[names, turned]


def _points(names: tuple[str, ...]) -> Iterator[Point]:
    """Fixed points: positive, negative and mixed fractions, then whole numbers of both parities."""
    for trial in range(12):
        point: Point = {}
        for place, name in enumerate(names):
            draw = random.Random(f"{name}:{trial}")
            if trial >= 9:
                point[name] = Fraction(2 + place + draw.randrange(3) * 2 + trial % 2)
                continue
            size = Fraction(draw.randrange(60, 4_000), 997) * (1, 10, 75)[trial % 3 if trial < 6 else 0]
            negative = trial in (3, 4, 5) or (trial == 6 and place % 2) or (trial == 7 and place % 2 == 0)
            point[name] = -size if negative else size / (5 if trial == 8 else 1)
        yield point


def _turned_points(names: tuple[str, ...]) -> Iterator[Point]:
    for trial in range(6):
        parts = [random.Random(f"{name}:{trial}:turned") for name in names]
        yield {
            name: complex(draw.uniform(0.3, 3), draw.uniform(0.3, 3) * (-1) ** trial)
            for name, draw in zip(names, parts, strict=True)
        }


def _is_float_sized(*values: Value) -> bool:
    try:
        return all(math.isfinite(abs(complex(value))) for value in values)
    except OverflowError:
        return False


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
