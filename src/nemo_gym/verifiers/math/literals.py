"""Exact values of written numbers, bases and subscripts."""

from __future__ import annotations

from fractions import Fraction

from nemo_gym.verifiers.math import scan
from nemo_gym.verifiers.math.tree import Constant, Group, Node, Number, Product, Symbol, Unreadable, Words


def literal(text: str) -> Number:
    """Return the exact number of a decimal or scientific literal; raises Unreadable beyond the bounds."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > scan.MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > scan.MAX_EXPONENT:
        raise Unreadable("number out of bounds")
    whole, _, decimals = mantissa.partition(".")
    value = Fraction(int(whole + decimals), 10 ** len(decimals)) * Fraction(10) ** int(exponent or 0)
    digits = len((whole + decimals).lstrip("0"))
    return Number(
        value, max(0, len(decimals) - int(exponent or 0)) if decimals else 0, digits if decimals else 0
    )


def repeating(text: str, period: str) -> Number:
    """Return the number of a decimal with a repeating `period`; raises Unreadable beyond the bounds."""
    _, point, decimals_written = text.partition(".")
    if not point or "e" in text.lower() or len(period) > scan.MAX_DIGITS:
        raise Unreadable("a repeating decimal must be short and have a point")
    start = literal(text)
    decimals = len(decimals_written)
    return Number(start.value + Fraction(int(period), (10 ** len(period) - 1) * 10**decimals))


def small(node: Node) -> int:
    """Return the base of a numeral, 2 to 36; raises Unreadable for anything else."""
    match node:
        case Number(value) if value.denominator == 1 and 2 <= value <= 36:
            return int(value)
        case _:
            raise Unreadable("a base must be a number from 2 to 36")


def spelling(node: Node) -> str:
    """Return digits and letters as written side by side, such as 3F; empty for anything else."""
    try:
        return spell(node).casefold()
    except Unreadable:
        return ""


def spell(node: Node) -> str:
    """Return a subscript as part of a name; raises Unreadable when it isn't a plain one."""
    match node:
        case Number(value):
            return str(value)
        case Symbol(name) | Constant(name) | Words(name):
            return name
        case Product(factors) | Group(_, _, factors):
            return "".join(spell(factor) for factor in factors)
        case _:
            raise Unreadable("an unusual subscript")
