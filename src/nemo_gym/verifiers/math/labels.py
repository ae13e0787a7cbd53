"""Names on the left of an equals sign, and names that may replace one another."""

from __future__ import annotations

from fractions import Fraction

from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Apply,
    Constant,
    Group,
    Listing,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Quantity,
    Relation,
    Sum,
    Symbol,
    Words,
    rename,
    transform,
    variables,
    walk,
)
from nemo_gym.verifiers.math.units import hedges

MAX_UNKNOWNS = 5


def label_of(node: Node) -> str:
    """Return the name on the left of `x = ...`, `f(x) = ...` or `Area = ...`; empty for a formula."""
    match node:
        case Symbol(name) | Words(name):
            return "" if hedges(name.replace("_", " ").split()) else name
        case Apply(name, (Symbol() | Number() as argument,)) if name.endswith("()"):
            return f"{name[:-2]}({_spelling(argument)})"
        case Product((Symbol(name) | Power(Symbol(name), _), Symbol() | Number() as argument)) if (
            name in _FUNCTION_NAMES
        ):
            return f"{name}({_spelling(argument)})"
        case Group("(", ")", items) if all(isinstance(item, Symbol) for item in items):
            return f"({', '.join(item.name for item in items if isinstance(item, Symbol))})"
        case Matrix(rows) if all(isinstance(entry, Symbol) for row in rows for entry in row):
            return "matrix"
        case _:
            return ""


def _spelling(argument: Symbol | Number) -> str:
    return argument.name if isinstance(argument, Symbol) else str(argument.value)


def point_of(node: Node) -> tuple[str, Node] | None:
    """Return the name and the coordinates of a point such as `P(3, 4)`; None for anything else."""
    match node:
        case Product((Symbol(name), Group("(", ")", items) as point)) if name.isupper() and len(items) > 1:
            return name, point
        case _:
            return None


def rename_argument(gold: Node, prediction: Node) -> Node:
    """Return the prediction with the argument of `f(t) = ...` named as in the expected `f(x) = ...`."""
    match gold, prediction:
        case Relation((Apply(name, (Symbol(expected),)), _), ("=",)), Relation(
            (Apply(name_too, (Symbol(own),)), value), ("=",)
        ) if (
            name == name_too and name.endswith("()") and own != expected and expected not in variables(value)
        ):
            return rename(prediction, own, expected)
        case Relation((Product((Symbol(name), Symbol(expected))), _), ("=",)), Relation(
            (Product((Symbol(name_too), Symbol(own))), value), ("=",)
        ) if name == name_too in _FUNCTION_NAMES and own != expected and expected not in variables(value):
            return rename(prediction, own, expected)
        case _:
            return prediction


def labels_agree(gold: str, label: str) -> bool:
    """Whether two labels may name the same thing: one may be missing, or one be a function's."""
    return not gold or not label or gold == label or gold.endswith(")") != label.endswith(")")


def is_about_unknowns(node: Node) -> bool:
    """Whether a relation says what a sum or product of unknowns is, as in `a + b = 5`."""
    match node:
        case Relation((Sum(parts) | Product(parts), value), ("=",)):
            bare = [
                part.factors[1] if isinstance(part, Product) and part.factors[0] == MINUS_ONE else part
                for part in parts
            ]
            names = [part.name for part in bare if isinstance(part, Symbol)]
            return len(set(names)) == len(parts) > 1 and len(parts) <= MAX_UNKNOWNS and not variables(value)
        case Relation((Apply("abs", (Product(parts),)), value), ("=",)):
            points = all(isinstance(part, Symbol) and part.name.isupper() for part in parts)
            return points and not variables(value)
        case _:
            return False


def value_of(node: Node) -> Node:
    """Return the last side of a relation."""
    return node.sides[-1] if isinstance(node, Relation) else node


def assignments(node: Node) -> dict[str, Node] | None:
    """Return the values of `x = 1, y = 2` by name, in the order of a tuple of them; else None.

    The order is alphabetical for the usual names of coordinates, otherwise as written.
    """
    if not isinstance(node, Listing) or node.joint == ":" or node.joint == "or":
        return None
    values: dict[str, Node] = {}
    for item in node.items:
        match item:
            case Relation((Symbol(name), value), ("=",)) if name not in values and name not in variables(
                value
            ):
                values[name] = value
            case _:
                return None
    if all(name.partition("_")[0] in _COORDINATES for name in values):
        return dict(sorted(values.items()))
    return values


def rename_constant(gold: Node, prediction: Node) -> Node:
    """Return the prediction with its constant of integration and imaginary unit named as in `gold`."""
    expected, names = variables(gold), variables(prediction)
    if (
        "j" in names
        and "j" not in expected
        and Constant("i") in walk(gold)
        and Constant("i") not in walk(prediction)
    ):
        prediction = transform(prediction, lambda part: Constant("i") if part == Symbol("j") else part)
    if not isinstance(gold, Sum) or not isinstance(prediction, Sum):
        return prediction
    constants = [
        term.name for term in gold.terms if isinstance(term, Symbol) and term.name in _FREE_CONSTANTS
    ]
    own = [
        term.name for term in prediction.terms if isinstance(term, Symbol) and term.name in _FREE_CONSTANTS
    ]
    if len(constants) == len(own) == 1 and constants[0] not in names and own[0] not in expected:
        uses = sum(part == Symbol(own[0]) for part in walk(prediction))
        return rename(prediction, own[0], constants[0]) if uses == 1 else prediction
    return prediction


def unit_as_factors(node: Node) -> Node | None:
    """Return a quantity as a product of its value and the letters of its unit; None if it has a noun."""
    if not isinstance(node, Quantity):
        return node
    if not node.unit.letters:
        return None
    factors = (Power(Symbol(name), Number(Fraction(power))) for name, power in node.unit.letters)
    return Product((node.node, *factors))


_FUNCTION_NAMES = frozenset("fghpqFGPQT")
_COORDINATES = frozenset("xyztuvw")
_FREE_CONSTANTS = frozenset(("C", "c", "K", "k", "C_1", "c_1"))
