"""Generated problems: what they ask, their inputs, and how their reference programs answer them."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nemo_gym.library.coding.code_gen import solutions

TESTS: Final = 12
EXAMPLES: Final = 2
_DRAWS: Final = 60
_MOST_EQUAL: Final = 7


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of problem with two parameters."""

    name: str
    level: int
    text: str
    """With the parameters as `{a}` and `{b}`."""
    parameters: Callable[[random.Random], tuple[Any, Any]]
    draw: Callable[[random.Random], str]
    """Draws an input."""

    def answer(self, text: str, parameters: tuple[Any, Any]) -> str:
        """What a right program prints for an input."""
        solve: Callable[..., object] = getattr(solutions, self.name)
        return str(solve(text.split(), *parameters))

    def program(self, parameters: tuple[Any, Any]) -> str:
        """A right program."""
        source = inspect.getsource(getattr(solutions, self.name))
        values = ", ".join(map(repr, parameters))
        return f"import sys\n\n\n{source}\n\nprint({self.name}(sys.stdin.read().split(), {values}))"


Pairs = list[tuple[str, str]]


def draw_problem(rng: random.Random, level: int) -> tuple[Family, tuple[Any, Any]]:
    """A family of a level, and its parameters."""
    family = rng.choice(FAMILIES[level])
    return family, family.parameters(rng)


def draw_pairs(family: Family, parameters: tuple[Any, Any], rng: random.Random) -> Pairs | None:
    """Different inputs with their outputs, first those of the examples. No output is that of more than
    half of them, so that no fixed output passes; None when there are too few others."""
    pairs: dict[str, str] = {}
    counts: dict[str, int] = {}
    for _ in range(_DRAWS):
        text = family.draw(rng)
        output = family.answer(text, parameters)
        if text in pairs or counts.get(output, 0) >= _MOST_EQUAL:
            continue
        pairs[text] = output
        counts[output] = counts.get(output, 0) + 1
        if len(pairs) == EXAMPLES + TESTS:
            return list(pairs.items())
    return None


def _span(low: int, high: int, other_low: int, other_high: int) -> Callable[[random.Random], tuple[int, int]]:
    return lambda rng: (rng.randint(low, high), rng.randint(other_low, other_high))


def _ordered(low: int, high: int) -> Callable[[random.Random], tuple[int, int]]:
    def parameters(rng: random.Random) -> tuple[int, int]:
        first, second = sorted(rng.sample(range(low, high + 1), 2))
        return first, second

    return parameters


def _divisor(high: int) -> Callable[[random.Random], tuple[int, int]]:
    """A divisor, and a remainder of it."""

    def parameters(rng: random.Random) -> tuple[int, int]:
        divisor = rng.randint(2, high)
        return divisor, rng.randrange(divisor)

    return parameters


def _number(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda rng: f"{rng.randint(low, high)}\n"


def _two(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda rng: f"{rng.randint(low, high)} {rng.randint(low, high)}\n"


def _list(low: int, high: int, shortest: int = 3, longest: int = 12) -> Callable[[random.Random], str]:
    def draw(rng: random.Random) -> str:
        numbers = [rng.randint(low, high) for _ in range(rng.randint(shortest, longest))]
        return f"{len(numbers)}\n{' '.join(map(str, numbers))}\n"

    return draw


def _word(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) + "\n"


def _two_words(rng: random.Random) -> str:
    left, right = ("".join(rng.choices("abc", k=rng.randint(3, 10))) for _ in range(2))
    return f"{left} {right}\n"


def _brackets(rng: random.Random) -> str:
    text, depth = "", 0
    for _ in range(rng.randint(2, 9)):
        is_open = depth == 0 or rng.random() < 0.6
        text += "(" if is_open else ")"
        depth += 1 if is_open else -1
    text += ")" * depth
    return (text if rng.random() < 0.7 else text[::-1]) + "\n"


def _load(rng: random.Random) -> str:
    numbers = [rng.randint(2, 30) for _ in range(rng.randint(4, 10))]
    return f"{len(numbers)} {rng.randint(20, 80)}\n{' '.join(map(str, numbers))}\n"


_ONE: Final = "The input is a whole number x."
_PAIR: Final = "The input is two whole numbers x and y on one line."
_MANY: Final = "The first line is n, the second has n whole numbers."
_NONNEGATIVE: Final = "The remainder is never negative."


def _suffix(rng: random.Random) -> tuple[int, str]:
    return rng.randint(2, 6), "".join(rng.choices("abcdefghij", k=2))


_ALL: Final = [
    Family("affine", 0, f"{_ONE} Print {{a}} * x + {{b}}.", _span(2, 60, 1, 60), _number(0, 99)),
    Family("remainder", 0, f"{_ONE} Print (x + {{b}}) % {{a}}.", _span(3, 60, 1, 60), _number(0, 999)),
    Family("sum_of_two", 0, f"{_PAIR} Print {{a}} * x + {{b}} * y.", _span(2, 40, 2, 40), _two(0, 99)),
    Family(
        "larger_after",
        0,
        f"{_PAIR} Print the larger of x + {{a}} and y + {{b}}.",
        _span(1, 40, 1, 40),
        _two(0, 99),
    ),
    Family(
        "repeat_word",
        0,
        "The input is a word. Print the word {a} times in a row without blanks, then {b}, on one line.",
        _suffix,
        _word,
    ),
    Family(
        "is_divisible",
        0,
        f"{_ONE} Print yes if x has the remainder {{b}} when divided by {{a}}, else no.",
        _divisor(12),
        _number(0, 500),
    ),
    Family(
        "count_above",
        1,
        f"{_MANY} Count those greater than {{a}}, add {{b}} to the count, and print the result.",
        _span(10, 80, 0, 20),
        _list(0, 99),
    ),
    Family(
        "sum_of_multiples",
        1,
        f"{_MANY} Print the sum of those with the remainder {{b}} when divided by {{a}}.",
        _divisor(7),
        _list(0, 99, 6),
    ),
    Family(
        "clipped_sum",
        1,
        f"{_MANY} A number below {{a}} counts as {{a}}, and one above {{b}} as {{b}}. Print the sum.",
        _ordered(5, 90),
        _list(0, 99),
    ),
    Family(
        "every_kth",
        1,
        f"{_MANY} Print in one line the one at index {{b}} and then every {{a}}th after it; "
        f"indexes count from 0.",
        _span(2, 5, 0, 2),
        _list(0, 99, 5),
    ),
    Family(
        "largest_product",
        1,
        f"{_MANY} Take the product of the two largest (equal ones count apart), take its remainder by {{a}}, "
        "and print that plus {b}.",
        _span(11, 99, 0, 40),
        _list(0, 99),
    ),
    Family(
        "digit_sum",
        1,
        f"{_ONE} Write x in base {{a}}, add up the values of its digits, and print the sum plus {{b}}.",
        _span(2, 20, 0, 40),
        _number(1, 99999),
    ),
    Family(
        "shift_letters",
        1,
        "The input is a word of small letters. Move each letter {a} places along the alphabet, from z on to "
        "a. If {b} is 1, print the result backwards, or else print it as it is.",
        _span(1, 25, 0, 1),
        _word,
    ),
    Family(
        "in_base",
        2,
        f"{_ONE} Print it in base {{a}} (the digits above 9 are a, b, c, ...), with zeros in "
        f"front up to {{b}} "
        "digits.",
        _span(2, 20, 4, 20),
        _number(1, 99999),
    ),
    Family(
        "rotate",
        2,
        f"{_MANY} Move the first number to the end, {{a}} times. Add {{b}} to every number. "
        f"Print them in one "
        "line.",
        _span(1, 40, 1, 40),
        _list(-99, 99),
    ),
    Family(
        "longest_run",
        2,
        f"{_MANY} Print the length of the longest row of neighbours that all have a remainder of at least "
        "{b} when divided by {a}.",
        _divisor(9),
        _list(0, 99, 8, 20),
    ),
    Family(
        "window_sum",
        2,
        f"{_MANY} Print the largest sum of {{a}} neighbours, plus {{b}}. There are at least {{a}} numbers.",
        _span(2, 6, 1, 99),
        _list(-50, 50, 6),
    ),
    Family(
        "collatz",
        2,
        f"{_ONE} While x is above 1, halve it if it is even, or else replace it with 3 * x + "
        f"{{b}}; but make at "
        "most {a} such steps. Print x at the end.",
        lambda rng: (rng.randint(3, 30), rng.choice((1, 3, 5, 7, 9, 11, 13))),
        _number(2, 999),
    ),
    Family(
        "frequent",
        2,
        f"{_MANY} Add {{b}} to each and take the remainder by {{a}}. Print the most frequent remainder, the "
        f"smallest of them if there are several. {_NONNEGATIVE}",
        _span(3, 12, 1, 40),
        _list(-99, 99, 8, 20),
    ),
    Family(
        "sort_by_remainder",
        2,
        f"{_MANY} Sort them by the remainder of (number + {{b}}) by {{a}}, and equal ones by "
        f"the number. Print "
        f"them in one line. {_NONNEGATIVE}",
        _span(3, 30, 1, 30),
        _list(-99, 99),
    ),
    Family(
        "pairs_with_sum",
        3,
        f"{_MANY} Count the pairs of positions i < j whose numbers add up to {{a}} or to {{b}}.",
        _ordered(2, 36),
        _list(0, 18, 8, 25),
    ),
    Family(
        "recurrence",
        3,
        f"f(0) = f(1) = 1, and f(i) = ({{a}} * f(i - 1) + {{b}} * f(i - 2)) % 1000007. {_ONE} Print f(x).",
        _span(1, 40, 1, 40),
        _number(0, 5000),
    ),
    Family(
        "subarrays_divisible",
        3,
        f"{_MANY} Add {{b}} to each. Then count the pieces of one or more neighbours whose sum "
        f"is divisible by "
        "{a}.",
        _span(2, 12, 0, 12),
        _list(0, 50, 8, 25),
    ),
    Family(
        "bracket_depth",
        3,
        "The input is a word of ( and ). If every bracket has its partner, print the depth of the deepest "
        "nesting times {a}, plus {b}. Otherwise print -1.",
        _span(2, 40, 0, 40),
        _brackets,
    ),
    Family(
        "climb",
        3,
        "A stair has x steps. You climb 1, {a} or {b} steps at a time. The input is x. Print "
        "in how many ways "
        "you get exactly to the top, as a remainder by 998244353. The order counts.",
        _ordered(2, 20),
        _number(1, 2000),
    ),
    Family(
        "fewest_coins",
        3,
        f"{_ONE} There are coins of 1, {{a}} and {{b}}, as many as you like. Print the fewest "
        f"coins that make x.",
        _ordered(2, 40),
        _number(1, 999),
    ),
    Family(
        "spaced_sum",
        4,
        f"{_MANY} Take {{b}} off each number. Choose numbers so that between two chosen ones "
        f"there are at least "
        "{a} others, or choose none. Print the largest sum.",
        _span(1, 5, 0, 60),
        _list(0, 99, 8, 30),
    ),
    Family(
        "increasing",
        4,
        f"{_MANY} Print the length of the longest sequence that you get by deleting numbers, "
        f"in which each is "
        "larger than the one before it by at least {a} and by at most {a} + {b}.",
        _span(1, 12, 3, 40),
        _list(0, 99, 10, 40),
    ),
    Family(
        "grid_paths",
        4,
        "The input is the height h and the width w of a grid on one line. Rows and columns count from 0. The "
        "cell of row y and column x is blocked if ({a} * y + {b} * x) % 7 is 3. Count the ways from the cell "
        "0, 0 to the cell h - 1, w - 1 with steps down or right over cells that are free, and print the "
        "remainder by 1000003.",
        _span(1, 60, 1, 60),
        _two(2, 12),
    ),
    Family(
        "survivors",
        4,
        "x people with the numbers 1 to x stand in a circle. Starting with the person 1, count to {a}; the "
        "person at whom you stop leaves, and the count goes on with the next one. Stop when {b} are left, or "
        "at once if there are no more. The input is x. Print the numbers of those left, in increasing order.",
        _span(2, 40, 1, 4),
        _number(2, 200),
    ),
    Family(
        "knapsack",
        4,
        "The first line is n and a capacity, the second has the weights of n things. A thing of weight w has "
        "the value w * {a} % {b} + 1. Print the largest total value of things whose weights together are at "
        "most the capacity.",
        _span(2, 60, 5, 60),
        _load,
    ),
    Family(
        "reach",
        4,
        "From a number v you can step to (v + {a}) % 1009 or to v * {b} % 1009. The input is "
        "two numbers below "
        "1009, the start and the goal, on one line. Print the fewest steps from the start to the goal, or -1 "
        "if there is no way.",
        _span(2, 99, 2, 99),
        _two(0, 1008),
    ),
    Family(
        "edit_cost",
        4,
        "The input is two words on one line. Inserting or deleting a letter costs {a}, and "
        "replacing one costs "
        "{b}. Print the lowest cost of turning the first word into the second.",
        _span(1, 30, 1, 60),
        _two_words,
    ),
]
FAMILIES: Final = [[family for family in _ALL if family.level == level] for level in range(5)]
FAMILY_OF: Final = {family.name: family for family in _ALL}
