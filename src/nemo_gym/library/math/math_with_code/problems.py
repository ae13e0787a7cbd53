"""Generated problems whose answers are whole numbers, at five levels, with the code that solves each."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Problem", "draw_problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question, its answer, and code that prints the answer."""

    question: str
    answer: str
    solution: str


@dataclass(frozen=True, slots=True)
class Family:
    """Problems of one kind.

    Args:
        text: the question, with `{0}`, `{1}` and so on for the numbers.
        solve: the answer for the numbers; its source is the solution's.
        ranges: from which range each number comes.
    """

    text: str
    solve: Callable[..., int]
    ranges: tuple[range, ...]

    def draw(self, rng: random.Random) -> Problem:
        """A problem with random numbers."""
        numbers = [rng.choice(each) for each in self.ranges]
        name, call = self.solve.__name__, ", ".join(map(str, numbers))
        source = f"import math\n{inspect.getsource(self.solve)}print({name}({call}))\n"
        return Problem(self.text.format(*numbers), str(self.solve(*numbers)), source)


def draw_problem(rng: random.Random, level: int) -> Problem:
    """A problem of a level."""
    return rng.choice(FAMILIES[level]).draw(rng)


def total(a: int, b: int) -> int:
    return a + b


def difference(a: int, b: int) -> int:
    return a - b


def product_and_rest(a: int, b: int, c: int) -> int:
    return a * b + c


def divisor_of_both(a: int, b: int) -> int:
    return math.gcd(6 * a, 6 * b)


def multiples(limit: int, a: int, b: int) -> int:
    return sum(n for n in range(1, limit + 1) if n % a == 0 or n % b == 0)


def sum_of_digits(base: int, exponent: int) -> int:
    return sum(map(int, str(base**exponent)))


def primes_between(low: int, width: int) -> int:
    numbers = range(max(low, 2), low + width + 1)
    return sum(all(n % d for d in range(2, math.isqrt(n) + 1)) for n in numbers)


def power_rest(base: int, exponent: int, modulus: int) -> int:
    return pow(base, exponent, modulus)


def steps_to_one(start: int) -> int:
    steps = 0
    while start != 1:
        start = 3 * start + 1 if start % 2 else start // 2
        steps += 1
    return steps


def ways_to_pay(amount: int, a: int, b: int, c: int) -> int:
    ways = [1] + [0] * amount
    for coin in (a, a + b, a + b + c):
        for part in range(coin, amount + 1):
            ways[part] += ways[part - coin]
    return ways[amount]


def coprime_pairs(limit: int, shift: int) -> int:
    pairs = ((a, b) for a in range(1, limit + 1) for b in range(a + 1, limit + 1))
    return sum(math.gcd(a, b + shift) == 1 for a, b in pairs)


def recurrence(a: int, b: int, count: int, modulus: int) -> int:
    before, now = 0, 1
    for _ in range(count - 1):
        before, now = now, (a * now + b * before) % modulus
    return now % modulus


def lattice_points(radius_squared: int, step: int) -> int:
    side = math.isqrt(radius_squared)
    places = range(-side, side + 1)
    return sum(x * x + y * y <= radius_squared and (x + y) % step == 0 for x in places for y in places)


FAMILIES: Final[tuple[tuple[Family, ...], ...]] = (
    (
        Family("What is {0} + {1}?", total, (range(2, 60), range(2, 60))),
        Family("What is {0} - {1}?", difference, (range(60, 100), range(2, 60))),
    ),
    (
        Family(
            "What is {0} * {1} + {2}?",
            product_and_rest,
            (range(112, 1000), range(112, 1000), range(1000, 9999)),
        ),
        Family(
            "What is the greatest common divisor of 6 * {0} and 6 * {1}?",
            divisor_of_both,
            (range(100, 2000, 7), range(100, 2000, 5)),
        ),
    ),
    (
        Family(
            "What is the sum of all whole numbers from 1 to {0} that are multiples of {1} or of {2}?",
            multiples,
            (range(300, 3000), range(3, 20), range(3, 20)),
        ),
        Family(
            "What is the sum of the decimal digits of {0}^{1}?",
            sum_of_digits,
            (range(2, 30), range(20, 200)),
        ),
        Family(
            "What is the remainder of {0}^{1} divided by {2}?",
            power_rest,
            (range(2, 99), range(50, 999), range(1001, 9999)),
        ),
    ),
    (
        Family(
            "How many prime numbers are there from {0} to {0} + {1}, both included?",
            primes_between,
            (range(1000, 20_000), range(200, 1200)),
        ),
        Family(
            "Start with {0}. Replace an even number by its half and an odd number n by 3n + 1, until the "
            "number is 1. How many replacements are that?",
            steps_to_one,
            (range(10_000, 1_000_000),),
        ),
        Family(
            "The sequence x has x_0 = 0, x_1 = 1 and x_n = {0} x_(n-1) + {1} x_(n-2). What is the remainder "
            "of x_{2} divided by {3}?",
            recurrence,
            (range(2, 20), range(2, 20), range(100, 900), range(1001, 9999)),
        ),
    ),
    (
        Family(
            "There are coins of {1}, {1} + {2} and {1} + {2} + {3} cents, as many as you like. In how many "
            "ways can {0} cents be paid, when the order does not count?",
            ways_to_pay,
            (range(300, 900), range(2, 6), range(2, 6), range(2, 6)),
        ),
        Family(
            "How many pairs of whole numbers a < b from 1 to {0} are there for which a and b + {1} have no "
            "common divisor but 1?",
            coprime_pairs,
            (range(50, 110), range(1, 90)),
        ),
        Family(
            "How many points (x, y) with whole numbers x and y have x^2 + y^2 <= {0} and x + y divisible by "
            "{1}?",
            lattice_points,
            (range(400, 3000), range(2, 9)),
        ),
    ),
)
