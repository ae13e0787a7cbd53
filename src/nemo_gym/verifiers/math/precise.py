"""Evaluates trees to a hundred digits and more, for values that floats can't separate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Underflow
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from nemo_gym.verifiers.math.evaluate import MAX_BITS, Budget, Evaluator, Undefined, bits_of
from nemo_gym.verifiers.math.evaluate import Value as Short
from nemo_gym.verifiers.math.tree import Apply, Constant, Marked, Node, Number, Power, Product, Sum, Symbol

DIGITS = 100
GUARD = 20
MAX_MAGNITUDE = 4_000
MAX_POWER = 100_000
MAX_ARGUMENT = 10**6
MAX_COUNT = 5_000
SMALLEST = 10**6


class Long(NamedTuple):
    """A complex number in decimal digits."""

    re: Decimal
    im: Decimal


Value = Fraction | Long


def agree(
    gold: Node,
    prediction: Node,
    budget: Budget,
    point: Mapping[str, Short] | None = None,
    *,
    real: bool = False,
) -> bool:
    """Whether two trees have the same value to all digits computed.

    Raises Undefined where one has none, or none that can be computed here; Exhausted as any evaluation.
    """
    verdict = _agree(gold, prediction, budget, point or {}, real, DIGITS)
    return (
        verdict
        if isinstance(verdict, bool)
        else bool(_agree(gold, prediction, budget, point or {}, real, DIGITS + verdict))
    )


def _agree(
    gold: Node, prediction: Node, budget: Budget, point: Mapping[str, Short], real: bool, digits: int
) -> bool | int:
    """Compare to `digits` digits; return instead how many more are needed where terms are that large."""
    one, other = (Precise(budget, digits, point, real) for _ in range(2))
    a, b = one.value(gold), other.value(prediction)
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    x, y = one.long(a), other.long(b)
    size = max(one.magnitude, other.magnitude, one.size(x), other.size(y))
    if size > MAX_MAGNITUDE:
        raise Undefined
    if digits == DIGITS and size > GUARD:
        return size
    return one.size(one.add(x, _negative(y))) <= size - digits + GUARD


@dataclass
class Precise:
    """Evaluates one tree at one point; `magnitude` is the decimal exponent of the largest term of a sum."""

    budget: Budget
    digits: int
    point: Mapping[str, Short]
    real: bool
    magnitude: int = -SMALLEST
    context: Context = field(init=False)
    step: int = field(init=False)
    """What one multiplication costs."""

    def __post_init__(self) -> None:
        self.step = 2 + self.digits**2 // 130_000
        self.context = Context(
            prec=self.digits,
            Emax=SMALLEST,
            Emin=-SMALLEST,
            traps=[InvalidOperation, DivisionByZero, Overflow, Underflow],
        )

    def value(self, node: Node) -> Value:
        """Return the value of a node; raises Undefined or Exhausted."""
        self.budget.spend(self.step)
        try:
            value = self._value(node)
        except (ArithmeticError, ValueError, KeyError) as error:
            raise Undefined from error
        if isinstance(value, Long) and self.real and value.im:
            raise Undefined
        return value

    def long(self, value: Value) -> Long:
        if isinstance(value, Long):
            return value
        return Long(self.context.divide(Decimal(value.numerator), Decimal(value.denominator)), _ZERO)

    def size(self, value: Long) -> int:
        """Return the decimal exponent of the larger part."""
        return max((part.adjusted() for part in value if part), default=-SMALLEST)

    def add(self, left: Long, right: Long) -> Long:
        return Long(self.context.add(left.re, right.re), self.context.add(left.im, right.im))

    def _value(self, node: Node) -> Value:
        match node:
            case Number(value):
                return value
            case Symbol(name):
                short = self.point[name]
                if isinstance(short, Fraction):
                    return short
                return Long(Decimal(short.real), Decimal(short.imag))
            case Constant("pi"):
                return Long(self._pi(), _ZERO)
            case Constant("e"):
                self._spend_on_function()
                return Long(self.context.exp(_ONE), _ZERO)
            case Constant("i"):
                return Long(_ZERO, _ONE)
            case Sum(terms):
                return self._sum([self.value(term) for term in terms])
            case Product(factors):
                product: Value = Fraction(1)
                for factor in factors:
                    product = self._multiply(product, self.value(factor))
                return product
            case Power(base, exponent):
                return self._power(self.value(base), self.value(exponent))
            case Marked(inner, mark):
                unit = {"%": Fraction(1, 100), "rad": Fraction(1)}.get(mark)
                turn = self._multiply(Long(self._pi(), _ZERO), Fraction(1, 180))
                return self._multiply(self.value(inner), turn if unit is None else unit)
            case Apply(name, args):
                return self._apply(name, [self.value(arg) for arg in args])
            case _:
                raise Undefined

    def _sum(self, values: list[Value]) -> Value:
        total: Value = Fraction(0)
        for value in values:
            self.magnitude = max(self.magnitude, self.size(self.long(value)))
            if isinstance(total, Fraction) and isinstance(value, Fraction):
                total = self._check_size(total + value)
            else:
                total = self.add(self.long(total), self.long(value))
        return total

    def _check_size(self, value: Fraction) -> Value:
        return value if bits_of(value) <= MAX_BITS else self.long(value)

    def _multiply(self, left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return self._check_size(left * right)
        (a, b), (c, d) = self.long(left), self.long(right)
        context = self.context
        if not b and not d:
            return Long(context.multiply(a, c), _ZERO)
        return Long(
            context.subtract(context.multiply(a, c), context.multiply(b, d)),
            context.add(context.multiply(a, d), context.multiply(b, c)),
        )

    def _inverse(self, value: Value) -> Value:
        if isinstance(value, Fraction):
            return 1 / value
        context = self.context
        norm = context.add(context.multiply(value.re, value.re), context.multiply(value.im, value.im))
        return Long(context.divide(value.re, norm), context.divide(value.im.copy_negate(), norm))

    def _power(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction) and exponent.denominator == 1:
            return self._integer_power(base, exponent.numerator)
        if isinstance(exponent, Fraction):
            return self._rational_power(base, exponent)
        x = self.long(base)
        if (self.real and x.re <= 0) or not any(x):
            raise Undefined
        return self._exp(self.long(self._multiply(exponent, self._ln(x))))

    def _integer_power(self, base: Value, exponent: int) -> Value:
        if abs(exponent) > MAX_POWER:
            raise Undefined
        if isinstance(base, Fraction):
            if abs(base) in (0, 1) or bits_of(base) * abs(exponent) <= 4_096:
                return base**exponent
            base = self.long(base)
        result: Value = Fraction(1)
        square = base
        left = abs(exponent)
        while left:
            self.budget.spend(self.step)
            if left & 1:
                result = self._multiply(result, square)
            left >>= 1
            if left:
                square = self._multiply(square, square)
        return self._inverse(result) if exponent < 0 else result

    def _rational_power(self, base: Value, exponent: Fraction) -> Value:
        """The real root where there is one: (-8)^(1/3) is -2."""
        x = self.long(base)
        if not any(x):
            if exponent < 0:
                raise Undefined
            return Fraction(0)
        if x.im:
            return self._exp(self.long(self._multiply(exponent, self._ln(x))))
        sign = 1
        if x.re < 0 and exponent.denominator % 2:
            sign = -1 if exponent.numerator % 2 else 1
            x = Long(x.re.copy_negate(), _ZERO)
        if x.re < 0:
            if exponent.denominator == 2 and not self.real:
                root = Long(_ZERO, self._root(x.re.copy_negate()))
                return self._integer_power(root, exponent.numerator)
            return self._exp(self.long(self._multiply(exponent, self._ln(x))))
        if exponent.denominator == 2:
            return self._integer_power(Long(self._root(x.re), _ZERO), exponent.numerator)
        root = self._exp(self.long(self._multiply(exponent, self._ln(x))))
        return self._multiply(Fraction(sign), root)

    def _exp(self, x: Long) -> Long:
        self._spend_on_function()
        if x.re.copy_abs() > MAX_ARGUMENT:
            raise Undefined
        size = self.context.exp(x.re)
        if not x.im:
            return Long(size, _ZERO)
        sine, cosine = self._sine(x.im)
        return Long(self.context.multiply(size, cosine), self.context.multiply(size, sine))

    def _ln(self, x: Long) -> Long:
        self._spend_on_function()
        if not x.im:
            if self.real and x.re < 0:
                raise Undefined
            return Long(self.context.ln(x.re.copy_abs()), self._pi() if x.re < 0 else _ZERO)
        return Long(self.context.ln(self._size_of(x)), self._angle(x))

    def _size_of(self, x: Long) -> Decimal:
        context = self.context
        return self._root(context.add(context.multiply(x.re, x.re), context.multiply(x.im, x.im)))

    def _angle(self, x: Long) -> Decimal:
        """Return the argument of a number that is not real: twice the arctangent of its half-angle."""
        bottom = self.context.add(self._size_of(x), x.re)
        if not bottom:
            raise Undefined
        return self.context.multiply(Decimal(2), self._arctangent(self.context.divide(x.im, bottom)))

    def _sine(self, x: Decimal) -> tuple[Decimal, Decimal]:
        """Return sine and cosine of a real number of bounded size, by their series on a short interval."""
        self._spend_on_function()
        if x.copy_abs() > MAX_ARGUMENT:
            raise Undefined
        self.magnitude = max(self.magnitude, x.adjusted() if x else 0, 0)
        context = Context(prec=self.digits + 16)
        quarter = context.divide(_pi(self.digits + 16), Decimal(2))
        turns = context.divide(x, quarter).to_integral_value()
        rest = context.subtract(x, context.multiply(turns, quarter))
        sine, cosine, term, count = _ZERO, _ZERO, _ONE, 0
        while term and term.adjusted() > -self.digits - 10:
            if count % 2:
                sine = context.add(sine, term if count % 4 == 1 else term.copy_negate())
            else:
                cosine = context.add(cosine, term if count % 4 == 0 else term.copy_negate())
            count += 1
            term = context.divide(context.multiply(term, rest), Decimal(count))
        for _ in range(int(turns) % 4):
            sine, cosine = cosine, sine.copy_negate()
        return sine, cosine

    def _arctangent(self, x: Decimal) -> Decimal:
        self._spend_on_function()
        context = Context(prec=self.digits + 16)
        for _ in range(5):
            root = context.sqrt(context.add(_ONE, context.multiply(x, x)))
            x = context.divide(x, context.add(_ONE, root))
        square = context.multiply(x, x)
        total, term, count = _ZERO, x, 1
        while term and term.adjusted() > -self.digits - 10:
            total = context.add(total, context.divide(term, Decimal(count)))
            term = context.multiply(term.copy_negate(), square)
            count += 2
        return self.context.multiply(total, Decimal(32))

    def _root(self, value: Decimal) -> Decimal:
        self.budget.spend(4 + self.digits**2 // 3_000)
        return self.context.sqrt(value)

    def _pi(self) -> Decimal:
        self.budget.spend(4 + self.digits**2 // 1_600)
        return _pi(self.digits)

    def _spend_on_function(self) -> None:
        self.budget.spend(self.digits**3 // 25_000)

    def _apply(self, name: str, values: list[Value]) -> Value:
        if name != "root" and values and all(isinstance(value, Fraction) for value in values):
            exact = [value for value in values if isinstance(value, Fraction)]
            if name in ("factorial", "binom", "floor", "ceil", "gcd", "lcm", "max", "min", "abs", "conj"):
                return self._exactly(name, exact)
        match name, values:
            case "root", [radicand, Fraction() as index] if index:
                return self._power(radicand, 1 / index)
            case "abs", [Long() as x]:
                return Long(self._size_of(x) if x.im else x.re.copy_abs(), _ZERO)
            case "conj", [Long() as x]:
                return Long(x.re, x.im.copy_negate())
            case "exp", [x]:
                return self._exp(self.long(x))
            case "cis", [x]:
                return self._exp(self.long(self._multiply(x, Long(_ZERO, _ONE))))
            case (("ln" | "log" | "lg"), [x, *base]) if len(base) < 2:
                return self._logarithm(name, self.long(x), base)
            case (("floor" | "ceil"), [Long(x, im)]) if not im:
                return self._round(name, x)
            case (("sin" | "cos" | "tan" | "cot" | "sec" | "csc"), [x]):
                return self._trigonometric(name, self.long(x))
            case (("arctan" | "atan"), [x]) if not self.long(x).im:
                return Long(self._arctangent(self.long(x).re), _ZERO)
            case (("sinh" | "cosh"), [x]):
                up = self._exp(self.long(x))
                down = self.long(self._inverse(up))
                both = (up, down if name == "cosh" else _negative(down))
                return self._multiply(Fraction(1, 2), self._sum(list(both)))
            case _:
                raise Undefined

    def _exactly(self, name: str, values: list[Fraction]) -> Value:
        if name in ("factorial", "binom") and all(value.denominator == 1 for value in values):
            return self._count(name, [int(value) for value in values])
        short = Evaluator(self.budget).apply(name, list(values))
        if not isinstance(short, Fraction):
            raise Undefined
        return short

    def _count(self, name: str, values: list[int]) -> Value:
        n, choices = values[0], min(values[-1], values[0] - values[-1])
        if n < 0 or (name == "binom" and values[1] < 0) or n > MAX_COUNT:
            raise Undefined
        self.budget.spend(n // 4)
        if name == "factorial":
            return self._check_size(Fraction(math.factorial(n)))
        return self._check_size(Fraction(math.comb(n, choices) if choices >= 0 else 0))

    def _logarithm(self, name: str, x: Long, base: list[Value]) -> Value:
        if not any(x):
            raise Undefined
        foot = self.long(base[0]) if base else Long(Decimal(10), _ZERO) if name == "lg" else None
        if foot is None:
            return self._ln(x)
        if not any(foot):
            raise Undefined
        return self._multiply(self._ln(x), self._inverse(self._ln(foot)))

    def _round(self, name: str, x: Decimal) -> Fraction:
        if x.adjusted() > MAX_MAGNITUDE:
            raise Undefined
        nearest = x.to_integral_value()
        if self.context.subtract(x, nearest).adjusted() < GUARD - self.digits + max(x.adjusted(), 0):
            return Fraction(int(nearest))
        return Fraction(math.floor(x) if name == "floor" else math.ceil(x))

    def _trigonometric(self, name: str, x: Long) -> Value:
        if x.im:
            raise Undefined
        sine, cosine = (self._clean(part) for part in self._sine(x.re))
        match name:
            case "sin" | "csc":
                value = Long(sine, _ZERO)
            case "cos" | "sec":
                value = Long(cosine, _ZERO)
            case "tan":
                value = Long(self.context.divide(sine, cosine), _ZERO)
            case _:
                value = Long(self.context.divide(cosine, sine), _ZERO)
        return self._inverse(value) if name in ("sec", "csc") else value

    def _clean(self, value: Decimal) -> Decimal:
        """Drop what rounding leaves of a zero."""
        small = value.adjusted() < GUARD - self.digits + max(self.magnitude, 0)
        return _ZERO if small else self.context.plus(value)


_ZERO, _ONE = Decimal(0), Decimal(1)


def _negative(value: Long) -> Long:
    return Long(value.re.copy_negate(), value.im.copy_negate())


@lru_cache(maxsize=16)
def _pi(digits: int) -> Decimal:
    """Return pi by Machin's formula in whole numbers."""
    unit = 10 ** (digits + 10)

    def arccotangent(x: int) -> int:
        term = total = unit // x
        count, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // count)
            count, sign = count + 2, -sign
        return total

    whole = 4 * (4 * arccotangent(5) - arccotangent(239))
    return Context(prec=digits).divide(Decimal(whole), Decimal(unit))
