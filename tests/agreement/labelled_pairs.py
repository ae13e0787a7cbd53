"""1,500 pairs of an expected answer and a model's answer, each labelled by how it was built.

A pair that is right says the same value in another form. A pair that is wrong says another value, several
values, or takes its answer back. No label comes from a grader.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

SIZE = 1500


class Pair(NamedTuple):
    """An expected answer, the content of the model's last box, and whether it is right."""

    family: str
    expected: str
    answer: str
    right: bool


def labelled_pairs() -> list[Pair]:
    """The list: always the same, the families in turn, no pair twice."""
    rng = random.Random("pairs")
    sources = [_distinct(family, rng) for family in FAMILIES]
    pairs: list[Pair] = []
    while len(pairs) < SIZE:
        for source in sources:
            pairs += islice(source, 1)
    return pairs[:SIZE]


def _distinct(family: Family, rng: random.Random) -> Iterator[Pair]:
    seen: set[tuple[str, str]] = set()
    repeats = 0
    while repeats < 200:
        expected, right, wrong = family(rng)
        forms = [(answer, True) for answer in right] + [(answer, False) for answer in wrong]
        rng.shuffle(forms)
        for answer, is_right in forms:
            if (expected, answer) in seen:
                repeats += 1
                continue
            seen.add((expected, answer))
            repeats = 0
            yield Pair(family.__name__.strip("_"), expected, answer, is_right)


Forms = tuple[str, list[str], list[str]]
"""The expected answer, forms that are right, and forms that are wrong."""
Family = Callable[[random.Random], Forms]


def _frac(value: Fraction, command: str = "\\frac") -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}{command}{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _proper(rng: random.Random, *, low: int = 2, high: int = 40) -> Fraction:
    while True:
        value = Fraction(rng.randint(-high, high), rng.randint(low, high))
        if value.denominator > 1:
            return value


def fractions(rng: random.Random) -> Forms:
    value, k = _proper(rng), rng.randint(2, 6)
    top, bottom = value.numerator, value.denominator
    right = [
        f"{top}/{bottom}",
        _frac(value, "\\dfrac"),
        _frac(value, "\\tfrac"),
        f"\\frac{{{top * k}}}{{{bottom * k}}}",
        f"x = {_frac(value)}",
        f"\\displaystyle {_frac(value)}",
    ]
    wrong = [
        _frac(-value),
        f"\\frac{{{bottom}}}{{{top}}}" if abs(top) != bottom else f"{top}",
        _frac(value + Fraction(1, bottom)),
        f"{_frac(value)} \\text{{ or }} {_frac(1 / value)}" if abs(value) != 1 else "1 \\text{ or } 2",
        f"\\text{{not }} {_frac(value)}",
        f"{_frac(value)}, {_frac(-value)}",
    ]
    return _frac(value), right, wrong


def decimals(rng: random.Random) -> Forms:
    places = rng.randint(1, 3)
    value = Fraction(rng.randint(1, 999) * 2 + 1, 2 * 10**places * rng.choice((1, 1, 5)))
    text = _decimal(value)
    right = [_frac(value), f"{text}0", f"${text}$", f"\\text{{{text}}}"]
    wrong = [
        _decimal(value + Fraction(1, 10 ** (places + 1))),
        f"-{text}",
        _decimal(value * 10),
        _decimal(value / 10),
        f"about {text} or {_decimal(value + 1)}",
    ]
    return text, right, wrong


def _decimal(value: Fraction) -> str:
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = value * 10**digits
    text = str(abs(whole.numerator)).zfill(digits + 1)
    sign = "-" if value < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)


def integers(rng: random.Random) -> Forms:
    value = rng.randint(1000, 9_999_999)
    grouped = f"{value:,}"
    right = [
        grouped,
        grouped.replace(",", "{,}"),
        f"{value}.0",
        f"n = {value}",
        f"\\text{{{value}}}",
        f"{value}.",
    ]
    wrong = [
        str(value + 1),
        f"-{value}",
        str(value)[:-1],
        f"{value}0",
        f"{value} \\text{{ or }} {value + 1}",
        f"{value}\\text{{ is wrong}}",
        f"\\neq {value}",
        f"> {value}",
    ]
    return str(value), right, wrong


def surds(rng: random.Random) -> Forms:
    k, n = rng.randint(2, 12), rng.choice((2, 3, 5, 6, 7, 10, 11, 13, 15))
    right = [
        f"\\sqrt{{{k * k * n}}}",
        f"{k} \\cdot \\sqrt{{{n}}}",
        f"\\sqrt{{{n}}} \\cdot {k}",
        f"\\frac{{{k * n}}}{{\\sqrt{{{n}}}}}",
    ]
    wrong = [
        f"\\sqrt{{{k * n}}}",
        f"{k} + \\sqrt{{{n}}}",
        f"{k}\\sqrt[3]{{{n}}}",
        f"-{k}\\sqrt{{{n}}}",
        f"{k + 1}\\sqrt{{{n}}}",
        f"\\pm {k}\\sqrt{{{n}}}",
    ]
    return f"{k}\\sqrt{{{n}}}", right, wrong


def quadratic_roots(rng: random.Random) -> Forms:
    a, n = rng.randint(1, 9), rng.choice((2, 3, 5, 7))
    left, right_root = f"{a}-\\sqrt{{{n}}}", f"{a}+\\sqrt{{{n}}}"
    right = [
        f"{right_root}, {left}",
        f"x = {left} \\text{{ or }} x = {right_root}",
        f"{a} \\pm \\sqrt{{{n}}}",
        f"\\{{{left}, {right_root}\\}}",
    ]
    wrong = [
        left,
        right_root,
        f"{left}, {a}+\\sqrt{{{n + 1}}}",
        f"-{a} \\pm \\sqrt{{{n}}}",
        f"{left}, {right_root}, {a}",
    ]
    return f"{left}, {right_root}", right, wrong


def products(rng: random.Random) -> Forms:
    a, b = rng.sample([n for n in range(-9, 10) if n], 2)
    expanded = f"x^2 {_signed(a + b, 'x')} {_signed(a * b)}"
    right = [
        f"(x {_signed(b)})(x {_signed(a)})",
        expanded,
        f"{a * b} {_signed(a + b, 'x')} + x^2",
        f"x(x {_signed(a + b)}) {_signed(a * b)}",
    ]
    wrong = [
        f"(x {_signed(-a)})(x {_signed(-b)})" if a + b else f"(x {_signed(a)})^2",
        f"x^2 {_signed(a + b, 'x')} {_signed(a * b + 1)}",
        f"(x {_signed(a)})",
        f"2{expanded}",
    ]
    return f"(x {_signed(a)})(x {_signed(b)})", right, wrong


def _signed(number: int, symbol: str = "") -> str:
    if symbol and number == 0:
        return ""
    size = "" if symbol and abs(number) == 1 else str(abs(number))
    return f"{'-' if number < 0 else '+'} {size}{symbol}"


def rational_functions(rng: random.Random) -> Forms:
    a = rng.randint(1, 15)
    symbol = rng.choice("xtn")
    expected = f"\\frac{{{symbol}}}{{{symbol}+{a}}}"
    right = [
        f"1 - \\frac{{{a}}}{{{symbol}+{a}}}",
        f"\\frac{{2{symbol}}}{{2{symbol}+{2 * a}}}",
        f"{symbol}/({symbol}+{a})",
        f"\\frac{{{symbol}}}{{{a}+{symbol}}}",
    ]
    wrong = [
        f"\\frac{{{symbol}}}{{{symbol}-{a}}}",
        f"{symbol}/{symbol}+{a}",
        f"1 + \\frac{{{a}}}{{{symbol}+{a}}}",
        f"\\frac{{{symbol}+{a}}}{{{symbol}}}",
    ]
    return expected, right, wrong


def intervals(rng: random.Random) -> Forms:
    a = rng.randint(-20, 10)
    b = a + rng.randint(2, 15)
    right = [
        f"{a} \\le x < {b}",
        f"x \\in [{a}, {b})",
        f"\\left[{a},{b}\\right)",
        f"{b} > x \\ge {a}",
        f"\\{{x \\mid {a} \\le x < {b}\\}}",
    ]
    wrong = [
        f"({a}, {b})",
        f"[{a}, {b}]",
        f"({a}, {b}]",
        f"[{a}, {b + 1})",
        f"x \\ge {a}",
        f"{a}, {b}",
        f"{a} < x < {b}",
    ]
    return f"[{a}, {b})", right, wrong


def rays(rng: random.Random) -> Forms:
    a = rng.randint(-30, 30)
    right = [f"x > {a}", f"x \\in ({a}, \\infty)", f"{a} < x", f"\\left({a}, +\\infty\\right)"]
    wrong = [
        f"x \\ge {a}",
        f"[{a}, \\infty)",
        f"x < {a}",
        f"(-\\infty, {a})",
        f"({a + 1}, \\infty)",
        "(-\\infty, \\infty)",
    ]
    return f"({a}, \\infty)", right, wrong


def unions(rng: random.Random) -> Forms:
    a = rng.randint(-20, 0)
    b = a + rng.randint(1, 12)
    right = [
        f"({b}, \\infty) \\cup (-\\infty, {a})",
        f"x < {a} \\text{{ or }} x > {b}",
        f"\\left(-\\infty, {a}\\right) \\cup \\left({b}, \\infty\\right)",
    ]
    wrong = [
        f"({a}, {b})",
        f"(-\\infty, {a}] \\cup [{b}, \\infty)",
        f"(-\\infty, {a})",
        f"(-\\infty, {a}) \\cap ({b}, \\infty)",
        f"(-\\infty, {b}) \\cup ({a}, \\infty)",
    ]
    return f"(-\\infty, {a}) \\cup ({b}, \\infty)", right, wrong


def sets(rng: random.Random) -> Forms:
    numbers = rng.sample(range(-20, 40), rng.randint(3, 5))
    mixed = rng.sample(numbers, len(numbers))
    join = ", ".join
    text = join(map(str, numbers))
    right = [
        f"\\{{{join(map(str, mixed))}\\}}",
        f"\\left\\{{{text}\\right\\}}",
        f"\\{{{join(map(str, sorted(numbers)))}\\}}",
    ]
    wrong = [
        f"\\{{{join(map(str, numbers[1:]))}\\}}",
        f"\\{{{text}, 99\\}}",
        f"\\{{{join(map(str, [numbers[0] + 60, *numbers[1:]]))}\\}}",
        f"\\{{{numbers[0]}\\}}",
    ]
    return f"\\{{{text}\\}}", right, wrong


def tuples(rng: random.Random) -> Forms:
    a, b = rng.sample(range(-15, 25), 2)
    right = [f"({a},{b})", f"\\left({a}, {b}\\right)", f"(x, y) = ({a}, {b})", f"({a}.0, {b})"]
    wrong = [
        f"({b}, {a})",
        f"({a}, {b + 1})",
        f"({a}, {b}, 0)",
        f"({-a or 7}, {b})",
        f"{a}",
        f"({a}, {b}) \\text{{ or }} ({b}, {a})",
    ]
    return f"({a}, {b})", right, wrong


def matrices(rng: random.Random) -> Forms:
    a, b, c, d = (rng.randint(-9, 9) for _ in range(4))
    if b == c:
        c += 1
    body = f"{a} & {b} \\\\ {c} & {d}"
    right = [_matrix(body, "bmatrix"), _matrix(f"{a}&{b}\\\\{c}&{d}"), _matrix(f"{a}.0 & {b} \\\\ {c} & {d}")]
    wrong = [
        _matrix(f"{a} & {c} \\\\ {b} & {d}"),
        _matrix(f"{a} & {b} \\\\ {c} & {d + 1}"),
        _matrix(f"{a} & {b}"),
        f"{a}, {b}, {c}, {d}, 0",
    ]
    return _matrix(body), right, wrong


def _matrix(body: str, kind: str = "pmatrix") -> str:
    return f"\\begin{{{kind}}} {body} \\end{{{kind}}}"


def complex_numbers(rng: random.Random) -> Forms:
    a, b = rng.randint(1, 20), rng.randint(2, 20)
    right = [f"{b}i+{a}", f"{a} + {b} i", f"{a}+i{b}", f"z = {a}+{b}i", f"-(-{a}-{b}i)"]
    wrong = [
        f"{a}-{b}i",
        f"{b}+{a}i" if a != b else f"{a}+{b + 1}i",
        f"{a}+{b}",
        f"-{a}+{b}i",
        f"{a} \\pm {b}i",
    ]
    return f"{a}+{b}i", right, wrong


def multiples_of_pi(rng: random.Random) -> Forms:
    value = abs(_proper(rng, high=16))
    top, bottom = value.numerator, value.denominator
    expected = f"\\frac{{{top}\\pi}}{{{bottom}}}"
    right = [
        f"{top}\\pi/{bottom}",
        f"{_frac(value)}\\pi",
        f"\\frac{{{2 * top}\\pi}}{{{2 * bottom}}}",
        f"\\pi \\cdot {_frac(value)}",
    ]
    wrong = [
        f"\\frac{{{top}\\pi}}{{{bottom + 1}}}",
        _frac(value),
        f"-{expected}",
        f"\\frac{{{top}\\pi^2}}{{{bottom}}}",
        f"{math.pi * value:.2f}e1",
    ]
    return expected, right, wrong


def powers(rng: random.Random) -> Forms:
    base, exponent = rng.choice((2, 3, 5, 7, 10)), rng.randint(20, 900)
    right = [
        f"{base}^{{{exponent - 1}}} \\cdot {base}",
        f"{base}^{{{exponent + 1}}} / {base}",
        f"\\left({base}\\right)^{{{exponent}}}",
    ]
    wrong = [
        f"{base}^{{{exponent + 1}}}",
        f"{base}^{{{exponent}}} - 1",
        f"{base + 1}^{{{exponent}}}",
        f"{exponent}^{{{base}}}",
        f"{base}{exponent}",
    ]
    return f"{base}^{{{exponent}}}", right, wrong


def scientific(rng: random.Random) -> Forms:
    digits, exponent = rng.randint(11, 99), rng.randint(4, 9)
    if digits % 10 == 0:
        digits += 1
    text = f"{digits // 10}.{digits % 10}"
    value = digits * 10 ** (exponent - 1)
    right = [
        str(value),
        f"{value:,}",
        f"{text} \\cdot 10^{{{exponent}}}",
        f"{digits} \\times 10^{{{exponent - 1}}}",
    ]
    wrong = [
        f"{text} \\times 10^{{{exponent + 1}}}",
        f"{text} \\times 10^{{-{exponent}}}",
        text,
        str(value + 1),
        f"{text} + 10^{exponent}",
    ]
    return f"{text} \\times 10^{{{exponent}}}", right, wrong


def mixed_numbers(rng: random.Random) -> Forms:
    whole, part = rng.randint(1, 12), abs(_proper(rng, high=12)) % 1
    value = whole + part
    right = [
        f"\\frac{{{value.numerator}}}{{{value.denominator}}}",
        f"{whole} + {_frac(part)}",
        f"{whole}\\dfrac{{{part.numerator}}}{{{part.denominator}}}",
    ]
    wrong = [
        f"\\frac{{{whole * part.numerator}}}{{{part.denominator}}}",
        f"{whole + 1}{_frac(part)}",
        str(whole),
        _frac(part),
        f"-{whole}{_frac(part)}",
    ]
    return f"{whole}{_frac(part)}", right, wrong


def units(rng: random.Random) -> Forms:
    value, (unit, other) = (
        rng.randint(2, 400),
        rng.choice((("cm", "m"), ("kg", "g"), ("m", "km"), ("s", "min"), ("mL", "L"))),
    )
    right = [
        f"{value}\\,\\text{{{unit}}}",
        f"{value} \\mathrm{{{unit}}}",
        f"{value}\\ \\mathrm{{{unit}}}",
        f"{value} \\text{{ {unit}}}",
    ]
    wrong = [
        f"{value}\\text{{ {other}}}",
        f"{value + 1}\\text{{ {unit}}}",
        f"-{value}\\text{{ {unit}}}",
        f"{value}\\text{{ {unit} or less}}",
        f"{value}\\text{{ or }}{value + 1}\\text{{ {unit}}}",
    ]
    return f"{value}\\text{{ {unit}}}", right, wrong


def lines(rng: random.Random) -> Forms:
    a, b = rng.randint(2, 9), rng.choice([n for n in range(-9, 10) if n])
    right = [f"y={a}x{_signed(b).replace(' ', '')}", f"y = {b} + {a}x", f"{a}x {_signed(b)} = y"]
    wrong = [
        f"y = {a}x {_signed(-b)}",
        f"y = {b}x {_signed(a)}" if a != b else f"y = {a + 1}x + {b}",
        f"x = {a}y {_signed(b)}",
        f"y = {a}x",
    ]
    return f"y = {a}x {_signed(b)}", right, wrong


def logarithms(rng: random.Random) -> Forms:
    a, b = sorted(rng.sample((2, 3, 5, 7, 11, 13), 2))
    right = [
        f"\\ln {a} + \\ln {b}",
        f"\\ln({a * b})",
        f"\\ln{{{a * b}}}",
        f"\\frac{{1}}{{2}}\\ln {(a * b) ** 2}",
    ]
    wrong = [
        f"\\ln {a} \\cdot \\ln {b}",
        f"\\ln {a + b}" if a + b != a * b else "\\ln 4",
        f"\\ln {a} - \\ln {b}",
        f"\\log_2 {a * b}",
    ]
    return f"\\ln {a * b}", right, wrong


def trigonometry(rng: random.Random) -> Forms:
    expected, right, wrong = rng.choice(_TRIGONOMETRY)
    k = rng.randint(2, 60)
    return (
        f"{k} + {expected}",
        [f"{k} + {one}" for one in right],
        [f"{k} + {one}" for one in wrong] + [f"{k + 1} + {expected}"],
    )


_TRIGONOMETRY = [
    (
        "\\frac{\\sqrt{3}}{2}",
        ["\\sin 60^\\circ", "\\cos\\frac{\\pi}{6}"],
        ["\\sin 30^\\circ", "\\frac{\\sqrt{3}}{3}"],
    ),
    ("\\frac{\\sqrt{2}}{2}", ["\\frac{1}{\\sqrt{2}}", "\\sin\\frac{\\pi}{4}"], ["\\sqrt{2}", "\\frac{1}{2}"]),
    ("\\sqrt{3}", ["\\tan\\frac{\\pi}{3}", "\\frac{3}{\\sqrt{3}}"], ["\\tan\\frac{\\pi}{6}", "\\sqrt[3]{3}"]),
]


def words(rng: random.Random) -> Forms:
    right_word, wrong_word = rng.choice(_WORDS)
    expected = f"\\text{{{right_word}}}"
    right = [
        right_word,
        f"\\text{{{right_word.capitalize()}}}",
        f"\\textbf{{{right_word}}}",
        f"\\mathrm{{{right_word}}}",
    ]
    wrong = [
        wrong_word,
        f"\\text{{{wrong_word}}}",
        f"\\text{{not {right_word}}}",
        f"\\text{{{right_word} or {wrong_word}}}",
    ]
    return expected, right, wrong


_WORDS = [
    (one, other)
    for pairs in (
        "even odd, ellipse hyperbola, tuesday friday, parabola circle, isosceles scalene, prime composite",
        "increasing decreasing, rational irrational, convergent divergent, acute obtuse, north south",
        "monday sunday, july august, square rhombus, cube sphere, evelyn briana, left right, linear cubic",
    )
    for one, other in (pair.split() for pair in pairs.split(", "))
]


def hedges(rng: random.Random) -> Forms:
    a = rng.randint(2, 500)
    b = a + rng.randint(1, 9)
    wrong = [
        f"{a} \\text{{ or }} {b}",
        f"{a}\\text{{, maybe }}{b}",
        f"\\text{{either }} {a} \\text{{ or }} {b}",
        f"{a}, {b}",
        f"\\text{{anything but }} {a}",
        f"{a}\\text{{ is not the answer}}",
        f"{b}\\text{{, not }}{a}",
        f"\\text{{between }} {a} \\text{{ and }} {b}",
        f"{a} \\vee {b}",
        f"\\ge {a}",
    ]
    return str(a), [f"\\boxed{{{a}}}", f"${a}$", f"x={a}"], wrong


def statements(rng: random.Random) -> Forms:
    a = rng.randint(2, 300)
    symbol = rng.choice("xnkm")
    right = [str(a), f"{symbol}={a}", f"{a} = {symbol}"]
    wrong = [
        f"{symbol} \\ne {a}",
        f"{symbol} = {a + 1}",
        f"{symbol} < {a}",
        f"{symbol} = -{a}",
        f"{symbol} = {a} \\text{{ or }} {symbol} = {a + 2}",
    ]
    return f"{symbol} = {a}", right, wrong


def bases(rng: random.Random) -> Forms:
    base = rng.randint(3, 9)
    digits = "".join(str(rng.randint(1, base - 1)) for _ in range(rng.randint(2, 5)))
    right = [f"{digits}_{{{base}}}", f"{digits}_{base}", f"({digits})_{{{base}}}"]
    wrong = [
        f"{digits}_{{{base + 1}}}",
        f"{digits}1_{{{base}}}",
        f"{digits[::-1]}1_{base}",
        f"-{digits}_{base}",
    ]
    return f"{digits}_{base}", right, wrong


def ratios(rng: random.Random) -> Forms:
    a, b = rng.sample((1, 2, 3, 4, 5, 7, 9, 11), 2)
    right = [f"{a} : {b}", f"{a}\\colon {b}", f"{a}:{b}"]
    wrong = [f"{b}:{a}", f"{a}:{b + 1}", f"{a}:{b}:1", f"{a}, {b}"]
    return f"{a}:{b}", right, wrong


def binomials(rng: random.Random) -> Forms:
    n, k = rng.randint(6, 30), rng.randint(2, 5)
    value = math.comb(n, k)
    right = [f"\\binom{{{n}}}{{{k}}}", f"{value:,}", f"\\binom{{{n}}}{{{n - k}}}", f"{{{n} \\choose {k}}}"]
    other = "1" if math.comb(n, k + 1) == value else f"\\binom{{{n}}}{{{k + 1}}}"
    wrong = [
        other,
        f"\\frac{{{n}}}{{{k}}}",
        str(value + 1),
        f"{n}!",
    ]
    return str(value), right, wrong


FAMILIES: list[Family] = [
    fractions, decimals, integers, surds, quadratic_roots, products, rational_functions, intervals, rays,
    unions, sets, tuples, matrices, complex_numbers, multiples_of_pi, powers, scientific, mixed_numbers,
    units, lines, logarithms, trigonometry, words, hedges, statements, bases, ratios, binomials,
]  # fmt: skip
