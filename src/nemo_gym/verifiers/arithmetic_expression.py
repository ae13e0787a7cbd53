"""Reads an arithmetic expression that a model wrote, with exact values. Nothing is executed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

__all__ = ["MAX_TEXT", "Expression", "read_expression"]

MAX_TEXT: Final = 400
"""The most characters of an expression."""
_MAX_TOKENS: Final = 128
_MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Expression:
    """The value of an expression, and its numbers in the order in which they are written."""

    value: Fraction
    numbers: tuple[int, ...]


def read_expression(text: str) -> Expression | None:
    r"""Read numbers of up to 12 digits with `+ - * /` and brackets; None for any other text.

    `x`-like signs (`×`, `·`, `÷`, `−`) and the LaTeX commands `\times`, `\cdot`, `\div`, `\left` and `\right`
    are read too. There are no signs before a number and no powers. A division by zero has no value.
    """
    if len(text) > MAX_TEXT:
        return None
    text = _COMMAND.sub(lambda match: _COMMANDS.get(match[1], match[0]), text).translate(_SIGNS)
    tokens = _TOKEN.findall(text)
    if len(tokens) > _MAX_TOKENS or "".join(tokens) != "".join(text.split()):
        return None
    if _TWO_NUMBERS.search(text):
        return None
    reader = _Reader(tokens)
    value = reader.sum(0)
    if value is None or reader.place != len(tokens):
        return None
    return Expression(value, tuple(int(token) for token in tokens if token.isdigit()))


class _Reader:
    """A reader of tokens by recursive descent, with a bounded depth."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.place = 0

    def sum(self, depth: int) -> Fraction | None:
        value = self.product(depth)
        while value is not None and (sign := self.take("+-")):
            right = self.product(depth)
            value = None if right is None else value + right if sign == "+" else value - right
        return value

    def product(self, depth: int) -> Fraction | None:
        value = self.atom(depth)
        while value is not None and (sign := self.take("*/")):
            right = self.atom(depth)
            if right is None or (sign == "/" and right == 0):
                return None
            value = value * right if sign == "*" else value / right
        return value

    def atom(self, depth: int) -> Fraction | None:
        if self.take("("):
            value = self.sum(depth + 1) if depth < _MAX_DEPTH else None
            return value if self.take(")") else None
        token = self.tokens[self.place] if self.place < len(self.tokens) else ""
        self.place += 1
        return Fraction(int(token)) if token.isdigit() else None

    def take(self, tokens: str) -> str:
        """Read one of these signs; empty when another token comes next."""
        token = self.tokens[self.place] if self.place < len(self.tokens) else ""
        if not token or token not in tokens:
            return ""
        self.place += 1
        return token


_COMMAND = re.compile(r"\\([a-z]{1,8})")
_COMMANDS = {"times": "*", "cdot": "*", "div": "/", "left": "", "right": ""}
_SIGNS = str.maketrans({"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-"})
_TOKEN = re.compile(r"[0-9]{1,12}|[-+*/()]", re.ASCII)
_TWO_NUMBERS = re.compile(r"[0-9]\s+[0-9]|[0-9]{13}", re.ASCII)
