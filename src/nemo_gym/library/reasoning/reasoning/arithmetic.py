"""Families about numbers."""

from __future__ import annotations

import math
import random

from nemo_gym.library.reasoning.reasoning.answers import number, numbers, numeral
from nemo_gym.library.reasoning.reasoning.problem import Families, Problem, listing

FAMILIES = Families()


@FAMILIES.add(reply="a number", measure="digits of each number", read=number, weight=4)
def addition(rng: random.Random, level: int) -> Problem:
    """Two numbers of level + 1 digits."""
    low = 10**level
    a, b = rng.randrange(low, 10 * low), rng.randrange(low, 10 * low)
    return Problem(f"What is {a} + {b}?", str(a + b), {"hardness": level + 1})


@FAMILIES.add(reply="a number", measure="operations", read=number)
def chain_arithmetic(rng: random.Random, level: int) -> Problem:
    """Several operations, from level 1 with products, from level 3 with brackets."""
    operations = 2 + 2 * level
    text, value, left = "", 0, operations + 1
    while left:
        size = 1 if level == 0 else min(left, rng.randint(1, 2))
        part, worth = _product(rng, size)
        left -= size
        if level >= 3 and size == 1 and left:
            other = rng.randint(1, 9)
            part, worth, left = f"({part} + {other})", worth + other, left - 1
        if not text:
            text, value = part, worth
        elif value >= worth and rng.random() < 0.5:
            text, value = f"{text} - {part}", value - worth
        else:
            text, value = f"{text} + {part}", value + worth
    return Problem(f"What is {text}?", str(value), {"hardness": operations})


@FAMILIES.add(reply="a number", measure="known numbers in the equation", read=number)
def linear_equation(rng: random.Random, level: int) -> Problem:
    """One unknown, on one side or both, from level 3 with brackets; the solution is a whole number."""
    x = rng.randint(1, 9) if level < 2 else rng.randint(-20, 20)
    a, c, e = rng.sample(range(2, 12), 3) if level else (1, 0, 0)
    b, d = rng.randint(1, 9), rng.randint(1, 30)
    match level:
        case 0:
            left, right = f"x + {b}", f"{x + b}"
        case 1:
            left, right = f"{a}x + {b}", f"{a * x + b}"
        case 2:
            left, right = f"{a}x + {b}", f"{c}x {_signed((a - c) * x + b)}"
        case 3:
            left, right = f"{a}(x + {b}) + {d}", f"{c}x {_signed((a - c) * x + a * b + d)}"
        case _:
            e += a - c == e
            rest = (a - c - e) * x + a * b - c * d
            left, right = f"{a}(x + {b}) - {c}(x + {d})", f"{e}x {_signed(rest)}"
    return Problem(f"If {left} = {right}, what is x?", str(x), {"hardness": level + 2})


@FAMILIES.add(reply="a number", measure="numbers to compare", read=number, weight=4)
def largest(rng: random.Random, level: int) -> Problem:
    """The largest number of a list; from level 2 with negative numbers and numbers close to it."""
    count = (3, 6, 10, 16, 24)[level]
    if level < 2:
        values = rng.sample(range(1, 10 ** (level + 1)), count)
    else:
        centre = rng.randrange(10**level, 10 ** (level + 1))
        values = rng.sample(range(centre, centre + 3 * count), count)
        values = [-value if rng.random() < 0.4 else value for value in values]
    question = f"What is the largest of these numbers: {listing(values)}?"
    return Problem(question, str(max(values)), {"hardness": count})


@FAMILIES.add(reply="the numbers, separated by commas", measure="numbers to sort", read=numbers)
def number_sorting(rng: random.Random, level: int) -> Problem:
    """Numbers to put in order, from level 1 in either direction."""
    count = (3, 5, 8, 12, 16)[level]
    values = rng.sample(range(1, (10, 100, 100, 1000, 1000)[level]), count)
    falling = level > 0 and rng.random() < 0.5
    direction = "from largest to smallest" if falling else "from smallest to largest"
    answer = ", ".join(map(str, sorted(values, reverse=falling)))
    question = f"Sort these numbers {direction}: {', '.join(map(str, values))}."
    return Problem(question, answer, {"hardness": count})


@FAMILIES.add(reply="a number", measure="sum of the numbers", read=number)
def gcd_lcm(rng: random.Random, level: int) -> Problem:
    """A greatest common divisor or a least common multiple, at level 4 of three numbers."""
    factor = rng.randint(2, (3, 6, 12, 24, 48)[level])
    span = range(*((1, 5), (4, 9), (8, 16), (15, 40), (40, 90))[level])
    values = [factor * part for part in rng.sample(span, 3 if level == 4 else 2)]
    name, value = (
        ("greatest common divisor", math.gcd(*values))
        if rng.random() < 0.5
        else ("least common multiple", math.lcm(*values))
    )
    return Problem(f"What is the {name} of {listing(values)}?", str(value), {"hardness": sum(values)})


@FAMILIES.add(reply="the number", measure="the value", read=numeral)
def base_conversion(rng: random.Random, level: int) -> Problem:
    """A number to write in another base: binary at first, then any base up to 16."""
    value = rng.randrange(*((2, 16), (16, 64), (64, 512), (512, 4096), (4096, 65536))[level])
    if level < 2:
        source, target = rng.choice([(2, 10), (10, 2)])
    elif level == 2:
        source, target = rng.choice(
            [(base, 10) for base in range(2, 10)] + [(10, base) for base in range(2, 10)]
        )
    else:
        source, target = rng.sample(range(2, 17), 2)
    question = f"Write the base {source} number {_in_base(value, source)} in base {target}."
    return Problem(question, _in_base(value, target), {"hardness": value})


@FAMILIES.add(reply="a number", measure="rank of the rule", read=number)
def number_sequence(rng: random.Random, level: int) -> Problem:
    """The next term of a sequence. The question names the kind of rule, so that only one number is right."""
    make = (_fixed_step, _fixed_ratio_and_step, _growing_step, _two_back, _interleaved)[level]
    rule, terms = make(rng)
    listing = ", ".join(map(str, terms[:-1]))
    question = f"{rule} What number comes next: {listing}?"
    return Problem(question, str(terms[-1]), {"hardness": level + 1})


Rule = tuple[str, list[int]]


def _fixed_step(rng: random.Random) -> Rule:
    start, step = rng.randint(1, 20), rng.randint(1, 9)
    return "Each number is the one before plus a fixed amount.", [start + step * i for i in range(5)]


def _fixed_ratio_and_step(rng: random.Random) -> Rule:
    factor, step = rng.randint(2, 4), rng.randint(1, 6)
    terms = [rng.randint(1, 6)]
    while len(terms) < 5:
        terms.append(factor * terms[-1] + step)
    return "Each number is the one before times a fixed number, plus a fixed number.", terms


def _growing_step(rng: random.Random) -> Rule:
    start, step, growth = rng.randint(1, 30), rng.randint(1, 9), rng.randint(2, 9)
    terms = [start + step * i + growth * i * (i - 1) // 2 for i in range(6)]
    return "The step from each number to the next grows by a fixed amount.", terms


def _two_back(rng: random.Random) -> Rule:
    p, q = rng.randint(1, 3), rng.randint(1, 3)
    terms = [rng.randint(1, 5), rng.randint(6, 9)]
    while len(terms) < 7:
        terms.append(p * terms[-1] + q * terms[-2])
    if terms[1] * terms[1] == terms[0] * terms[2]:
        return _two_back(rng)
    return (
        "With p and q fixed, each number from the third on is p times the one before plus q times the one "
        "before that.",
        terms,
    )


def _interleaved(rng: random.Random) -> Rule:
    (_, odd), (_, even) = _growing_step(rng), _growing_step(rng)
    terms = [term for pair in zip(odd, even, strict=True) for term in pair][: 10 + rng.randint(0, 1)]
    return "Two sequences take turns; in each the step grows by a fixed amount of its own.", terms


def _product(rng: random.Random, size: int) -> tuple[str, int]:
    factors = [rng.randint(1, 9) for _ in range(size)]
    return " * ".join(map(str, factors)), math.prod(factors)


def _signed(value: int) -> str:
    return f"- {-value}" if value < 0 else f"+ {value}"


def _in_base(value: int, base: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, base)
        digits = "0123456789abcdef"[digit] + digits
    return digits or "0"
