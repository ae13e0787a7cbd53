"""Compares two statements of propositional logic for all truth values."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from nemo_gym.verifiers.math.tree import Apply, Combination, Node, Symbol, variables

MAX_ATOMS = 8


def equivalent(gold: Node, prediction: Node) -> bool | None:
    """Compare truth tables; None when either side is no such statement or has too many variables."""
    names = variables(gold, prediction)
    if len(names) > MAX_ATOMS or not (_is_statement(gold) and _is_statement(prediction)):
        return None
    tables = [dict(zip(names, truths, strict=True)) for truths in product((False, True), repeat=len(names))]
    return all(_truth(gold, table) == _truth(prediction, table) for table in tables)


def _is_statement(node: Node) -> bool:
    match node:
        case Symbol():
            return True
        case Apply("not", (inner,)):
            return _is_statement(inner)
        case Combination("∧" | "∨" | "⇒" | "⇔", parts):
            return all(map(_is_statement, parts))
        case _:
            return False


def _truth(node: Node, table: Mapping[str, bool]) -> bool:
    match node:
        case Symbol(name):
            return table[name]
        case Apply(_, (inner,)):
            return not _truth(inner, table)
        case Combination("∧", parts):
            return all(_truth(part, table) for part in parts)
        case Combination("∨", parts):
            return any(_truth(part, table) for part in parts)
        case Combination("⇒", (first, second)):
            return not _truth(first, table) or _truth(second, table)
        case Combination(_, parts):
            return len({_truth(part, table) for part in parts}) == 1
        case _:
            return False
