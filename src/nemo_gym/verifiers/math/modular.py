"""Answers modulo a whole number, as in `x = 5 (mod 7)`."""

from __future__ import annotations

import re

from nemo_gym.verifiers.math.tree import Listing, Modular, Number, Relation


def split(text: str) -> tuple[str, str] | None:
    """Return an answer and the modulus behind it; None for an answer without one."""
    if "mod" not in text:
        return None
    match = _MODULUS.fullmatch(text)
    if match is None:
        return None
    return _CONGRUENT.sub("=", match["rest"]).removeprefix("="), match["modulus"]


def residues(answer: Modular) -> frozenset[int] | None:
    """Return the residues that an answer names; None where it names none in plain whole numbers."""
    node, modulus = answer.node, answer.modulus
    if isinstance(node, Relation) and node.operators == ("=",):
        node = node.sides[1]
    if not isinstance(modulus, Number) or modulus.value.denominator != 1 or modulus.value < 1:
        return None
    values: set[int] = set()
    for item in node.items if isinstance(node, Listing) else (node,):
        if isinstance(item, Relation) and item.operators == ("=",):
            item = item.sides[1]
        if not isinstance(item, Number) or item.value.denominator != 1:
            return None
        values.add(int(item.value % modulus.value))
    return frozenset(values)


_MODULUS = re.compile(
    r"(?P<rest>[^{}]{1,200}?(?:\{[^{}]{0,80}\}[^{}]{0,80}?){0,6})[\s,]*\(?\s*(?:\\(?:text|textrm|mathrm|operatorname)\s*\{)?"
    r"\s*\(?\s*(?:\\[pb]?mod|mod(?:ulo)?)(?![A-Za-z])\s*\}?\s*\{?\s*"
    r"(?P<modulus>\d{1,12}(?:\^\{?\d{1,3}\}?)?|[a-z])\s*\}?\s*\)?\s*\}?\s*\)?"
)
_CONGRUENT = re.compile(r"\\equiv(?![A-Za-z])|\\cong(?![A-Za-z])")
