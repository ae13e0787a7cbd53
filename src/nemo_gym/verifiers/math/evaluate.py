"""Values of trees: exact fractions where possible, complex floats elsewhere, all within a budget of work."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from nemo_gym.verifiers.math.tree import (
    Apply,
    Constant,
    Marked,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Series,
    Sum,
    Symbol,
)

MAX_BITS = 8_192
MAX_FACTORIAL = 500
MAX_CHOICES = 500
MAX_TERMS = 500
MAX_SIDE = 4
MAX_WORK = 15_000

Value = Fraction | complex


def bits_of(value: Fraction) -> int:
    """The length of the longer part of a fraction."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


class Undefined(Exception):
    """Raised when a tree has no finite value at this point, or none within the bounds."""


class Exhausted(Exception):
    """Raised when a comparison has used up its budget of work."""


@dataclass
class Budget:
    """The work left for one comparison; one unit is about one small arithmetic operation."""

    left: int = MAX_WORK

    def spend(self, units: int = 1) -> None:
        """Take `units` off the budget; raises Exhausted when none is left."""
        self.left -= units
        if self.left < 0:
            raise Exhausted


@dataclass
class Evaluator:
    """Values of trees at one point.

    With `real`, roots and logarithms of negative numbers are undefined instead of complex. `scale` is the
    largest term met in a sum of floats: what cancellation must be measured against.
    """

    budget: Budget
    point: Mapping[str, Value] = field(default_factory=dict[str, Value])
    real: bool = False
    scale: float = 0.0

    def value(self, node: Node) -> Value:
        """Return the finite value of a node; raises Undefined or Exhausted."""
        try:
            value = self._value(node)
        except (ArithmeticError, ValueError, KeyError) as error:
            raise Undefined from error
        if isinstance(value, Fraction):
            return self._check_size(value)
        self.budget.spend()
        if not cmath.isfinite(value) or (self.real and value.imag):
            raise Undefined
        return value

    def _value(self, node: Node) -> Value:
        match node:
            case Number(value):
                return value
            case Symbol(name):
                return self.point[name]
            case Constant("pi"):
                return complex(math.pi)
            case Constant("e"):
                return complex(math.e)
            case Constant("i"):
                return 1j
            case Sum(terms):
                return self._sum([self.value(term) for term in terms])
            case Product(factors):
                return self._product(map(self.value, factors))
            case Power(Constant("e"), exponent):
                return self.apply("exp", [self.value(exponent)])
            case Power(base, exponent):
                return self._power(self.value(base), self.value(exponent))
            case Marked(inner, "%"):
                return self._multiply(self.value(inner), Fraction(1, 100))
            case Marked(inner, "rad"):
                return self.value(inner)
            case Marked(inner, _):
                return _float(self.value(inner)) * (math.pi / 180)
            case Apply("det", (Matrix(rows),)):
                return self._determinant([[self.value(entry) for entry in row] for row in rows])
            case Apply(name, args):
                return self.apply(name, [self.value(arg) for arg in args])
            case Series():
                return self._series(node)
            case _:
                raise Undefined

    def _sum(self, values: list[Value]) -> Value:
        exact = [value for value in values if isinstance(value, Fraction)]
        floats = [value for value in values if not isinstance(value, Fraction)]
        total = Fraction(0)
        for value in exact:
            total = self._check_size(total + value)
        if not floats:
            return total
        if total:
            floats.append(_float(total))
        self.scale = max(self.scale, *map(abs, floats))
        return complex(math.fsum(z.real for z in floats), math.fsum(z.imag for z in floats))

    def _product(self, factors: Iterable[Value]) -> Value:
        product: Value = Fraction(1)
        for factor in factors:
            product = self._multiply(product, factor)
        return product

    def _multiply(self, left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return self._check_size(left * right)
        return _float(left) * _float(right)

    def _check_size(self, value: Fraction) -> Fraction:
        bits = bits_of(value)
        self.budget.spend(1 + bits // 128)
        if bits > MAX_BITS:
            raise Undefined
        return value

    def _power(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction):
            if exponent.denominator == 1:
                return self._integer_power(base, exponent.numerator)
            return self._rational_power(base, exponent)
        base = _float(base)
        if base.imag == 0 and exponent.imag == 0 and base.real > 0:
            return complex(math.pow(base.real, exponent.real))
        if self.real or base == 0:
            raise Undefined
        return base**exponent

    def _integer_power(self, base: Value, exponent: int) -> Value:
        if not isinstance(base, Fraction):
            return complex(math.pow(base.real, exponent)) if base.imag == 0 else base**exponent
        if abs(base) not in (0, 1) and bits_of(base) * abs(exponent) > 2 * MAX_BITS:
            raise Undefined
        if abs(base) == 1:
            exponent %= 2
        if base == 0:
            return Fraction(int(exponent == 0)) if exponent >= 0 else base**exponent
        return base**exponent

    def _rational_power(self, base: Value, exponent: Fraction) -> Value:
        """The real root where there is one: (-8)^(1/3) is -2."""
        if isinstance(base, complex) and base.imag:
            return base ** float(exponent)
        sign = 1
        if (base if isinstance(base, Fraction) else base.real) < 0:
            if exponent.denominator % 2 == 0:
                if self.real:
                    raise Undefined
                root = self._rational_power(-base, exponent)
                turn = cmath.exp(1j * math.pi * float(exponent % 2))
                return (1j if exponent % 2 == Fraction(1, 2) else turn) * _float(root)
            base, sign = -base, (-1) ** (exponent.numerator % 2)
        if isinstance(base, Fraction):
            root = _exact_root(base, exponent.denominator)
            if root is not None:
                return sign * _fraction(self._integer_power(root, exponent.numerator))
        size = _float(base).real
        if size == 0 and exponent < 0:
            raise Undefined
        return complex(sign * math.pow(size, float(exponent)))

    def apply(self, name: str, values: list[Value]) -> Value:
        """Return the value of a named function of values; raises Undefined or Exhausted."""
        match name, values:
            case "root", [radicand, Fraction() as index] if index:
                return self._power(radicand, 1 / index)
            case "abs", [x]:
                return abs(x) if isinstance(x, Fraction) else complex(abs(x))
            case "conj", [x]:
                return x if isinstance(x, Fraction) else x.conjugate()
            case "cis", [x]:
                return cmath.exp(1j * _float(x))
            case _ if name.endswith("()"):
                return _opaque(name, values)
            case "factorial", [x]:
                return self._factorial(x)
            case "binom", [Fraction() as n, Fraction() as k]:
                return self._binomial(n, k)
            case (("log" | "ln" | "lg"), [x, *base]) if len(base) < 2:
                return self._logarithm(x, base[0] if base else Fraction(10) if name == "lg" else None)
            case (("floor" | "ceil"), [x]):
                return _round(name, x)
            case (("max" | "min" | "gcd" | "lcm"), [_, *_]):
                return _combine(name, [x for x in values if isinstance(x, Fraction)], len(values))
            case _, [x] if name in _FUNCTIONS:
                if isinstance(x, Fraction) and x == 0 and name in _ZERO_AT_ZERO:
                    return Fraction(0)
                if isinstance(x, Fraction) and x == 0 and name in _ONE_AT_ZERO:
                    return Fraction(1)
                z = _float(x)
                if name in _PERIODIC:
                    self.scale = max(self.scale, 1.0, abs(z))
                return self._drop_noise(_FUNCTIONS[name](z), z)
            case _:
                raise Undefined

    def _series(self, series: Series) -> Value:
        low, high = self.value(series.low), self.value(series.high)
        if not isinstance(low, Fraction) or not isinstance(high, Fraction):
            raise Undefined
        if low.denominator != 1 or high.denominator != 1 or not -1 <= high - low < MAX_TERMS:
            raise Undefined
        outer = self.point
        terms: list[Value] = []
        for index in range(int(low), int(high) + 1):
            self.point = {**outer, series.index: Fraction(index)}
            terms.append(self.value(series.body))
        self.point = outer
        return self._sum(terms) if series.kind == "sum" else self._product(terms)

    def _determinant(self, rows: list[list[Value]]) -> Value:
        """Expand along the first row; small matrices only."""
        if not rows or len(rows) > MAX_SIDE or any(len(row) != len(rows) for row in rows):
            raise Undefined
        if len(rows) == 1:
            return rows[0][0]
        terms: list[Value] = []
        for column, entry in enumerate(rows[0]):
            minor = self._determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
            terms.append(self._multiply(self._multiply(Fraction((-1) ** column), entry), minor))
        return self._sum(terms)

    def _drop_noise(self, value: complex, argument: complex) -> complex:
        """Drop a rounding-sized imaginary part of a real function of a real argument."""
        if argument.imag == 0 and abs(value.imag) < 1e-15 * max(1.0, abs(value)):
            return complex(value.real)
        return value

    def _factorial(self, x: Value) -> Value:
        if isinstance(x, Fraction) and x.denominator == 1:
            if not 0 <= x <= MAX_FACTORIAL:
                raise Undefined
            self.budget.spend(int(x))
            return Fraction(math.factorial(int(x)))
        z = _float(x)
        if z.imag or abs(z) > 150:
            raise Undefined
        return complex(math.gamma(z.real + 1))

    def _binomial(self, n: Fraction, k: Fraction) -> Fraction:
        if n.denominator != 1 or k.denominator != 1 or k < 0 or n < 0:
            raise Undefined
        choices = int(min(k, n - k))
        if choices < 0:
            return Fraction(0)
        if choices > MAX_CHOICES or int(n).bit_length() * choices > MAX_BITS:
            raise Undefined
        self.budget.spend(choices)
        return Fraction(math.comb(int(n), choices))

    def _logarithm(self, x: Value, base: Value | None) -> Value:
        z = _float(x)
        if z == 0 or (self.real and z.real < 0):
            raise Undefined
        if isinstance(x, Fraction) and x == 1:
            return Fraction(0)
        if base is None:
            return cmath.log(z)
        foot = _float(base)
        if foot in (0, 1):
            raise Undefined
        quotient = cmath.log(z) / cmath.log(foot)
        if isinstance(x, Fraction) and isinstance(base, Fraction) and x > 0 and base > 0:
            guess = Fraction(quotient.real).limit_denominator(12)
            if abs(guess) < MAX_BITS and self._integer_power(base, guess.numerator) == x**guess.denominator:
                return guess
        return quotient


def _opaque(name: str, values: list[Value]) -> complex:
    """Return a fixed pseudo-random value of an unknown function of these arguments."""
    keys = [f"{z.real + 0.0:.9e} {z.imag + 0.0:.9e}" for z in map(_float, values)]
    return complex(0.5 + random.Random(" ".join((name, *keys))).random())


def _float(value: Value) -> complex:
    return complex(float(value)) if isinstance(value, Fraction) else value


def _fraction(value: Value) -> Fraction:
    if isinstance(value, Fraction):
        return value
    raise Undefined


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    if degree > 64:
        return None
    top, bottom = _integer_root(value.numerator, degree), _integer_root(value.denominator, degree)
    return None if top is None or bottom is None else Fraction(top, bottom)


def _integer_root(value: int, degree: int) -> int | None:
    if degree == 2:
        root = math.isqrt(value)
    else:
        low, high = 0, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            if middle**degree <= value:
                low = middle
            else:
                high = middle - 1
        root = low
    return root if root**degree == value else None


def _round(name: str, x: Value) -> Fraction:
    if isinstance(x, Fraction):
        return Fraction(math.floor(x) if name == "floor" else math.ceil(x))
    nearest = round(x.real)
    if x.imag or abs(x) > 1e12:
        raise Undefined
    if abs(x.real - nearest) < 1e-9:
        return Fraction(nearest)
    return Fraction(math.floor(x.real) if name == "floor" else math.ceil(x.real))


def _combine(name: str, values: list[Fraction], count: int) -> Fraction:
    if len(values) != count:
        raise Undefined
    if name in ("max", "min"):
        return max(values) if name == "max" else min(values)
    if any(value.denominator != 1 for value in values):
        raise Undefined
    whole = [int(value) for value in values]
    return Fraction(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))


def _tangent(z: complex) -> complex:
    return cmath.sin(z) / _nonzero(cmath.cos(z), z)


def _nonzero(value: complex, argument: complex) -> complex:
    if abs(value) < 1e-13 * max(1.0, abs(argument)):
        raise Undefined
    return value


_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "exp": cmath.exp,
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": _tangent,
    "cot": lambda z: cmath.cos(z) / _nonzero(cmath.sin(z), z),
    "sec": lambda z: 1 / _nonzero(cmath.cos(z), z),
    "csc": lambda z: 1 / _nonzero(cmath.sin(z), z),
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
    **dict.fromkeys(("arcsin", "asin"), cmath.asin),
    **dict.fromkeys(("arccos", "acos"), cmath.acos),
    **dict.fromkeys(("arctan", "atan"), cmath.atan),
    "arccot": lambda z: math.pi / 2 - cmath.atan(z),
    **dict.fromkeys(("arcsinh", "arsinh"), cmath.asinh),
    **dict.fromkeys(("arccosh", "arcosh"), cmath.acosh),
    **dict.fromkeys(("arctanh", "artanh"), cmath.atanh),
}
_PERIODIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_ZERO_AT_ZERO = frozenset(
    ("sin", "tan", "sinh", "tanh", "arcsin", "arctan", "arcsinh", "arctanh", "asin", "atan")
)
_ONE_AT_ZERO = frozenset(("cos", "sec", "cosh", "exp"))
