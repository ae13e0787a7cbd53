"""Converts trees to the form to compare: one item for each sign, computed matrices, values by name."""

from __future__ import annotations

from nemo_gym.verifiers.math.tree import (
    Combination,
    Group,
    Listing,
    Matrix,
    Modular,
    Node,
    Number,
    PlusMinus,
    Power,
    Product,
    Relation,
    Sum,
    Symbol,
    choose_sign,
    transform,
    variables,
    walk,
)

MAX_SIZE = 4_000
MAX_MATRIX_POWER = 4

Rows = tuple[tuple[Node, ...], ...]


def normal(node: Node) -> Node:
    """Return the tree in the form to compare."""
    if isinstance(node, Modular):
        return Modular(normal(node.node), node.modulus)
    return _by_name(_list_signs(transform(node, _evaluate)))


def _evaluate(node: Node) -> Node:
    match node:
        case Product(factors) if any(isinstance(factor, Matrix) for factor in factors):
            return _matrix_product(node)
        case Product(factors) if sum(_is_vector(factor) for factor in factors) == 1:
            return _scale_vector(node)
        case Group("{", "}", items) if any(
            isinstance(part, PlusMinus) for item in items for part in walk(item)
        ):
            return Group("{", "}", tuple(_both_signs(items)))
        case Sum(terms) if all(isinstance(term, Matrix) for term in terms):
            return _matrix_sum(node)
        case Power(Matrix(rows), Symbol("T")):
            return Matrix(tuple(zip(*rows, strict=True)))
        case Power(Group("(", ")") as vector, Symbol("T")):
            return vector
        case Power(Group("[", "]", items), Symbol("T")) if len(items) > 1:
            return Group("(", ")", items)
        case Group("[", "]", items) if len(items) > 1 and all(map(_is_row, items)):
            rows = tuple(item.items for item in items if isinstance(item, Group))
            return Matrix(rows) if len({len(row) for row in rows}) == 1 else node
        case Power(Matrix() as base, Number(value)) if (
            value.denominator == 1 and 1 < value <= MAX_MATRIX_POWER
        ):
            power: Node = base
            for _ in range(int(value) - 1):
                power = _matrix_product(Product((power, base)))
            return power
        case Combination("∪", parts) if all(
            isinstance(part, Group) and part.opening == "{" for part in parts
        ):
            return Group(
                "{", "}", tuple(item for part in parts if isinstance(part, Group) for item in part.items)
            )
        case Combination(("∧" | "∨") as sign, parts) if all(map(_is_equation, parts)):
            return Listing(parts, "or" if sign == "∨" else ",")
        case _:
            return node


def _is_equation(node: Node) -> bool:
    return isinstance(node, Relation) and node.operators == ("=",)


def _is_row(node: Node) -> bool:
    return isinstance(node, Group) and node.opening == "[" and node.closing == "]" and len(node.items) > 1


def _is_vector(node: Node) -> bool:
    return isinstance(node, Group) and node.opening == "(" and node.closing == ")" and len(node.items) > 1


def _scale_vector(node: Product) -> Node:
    scalars = tuple(factor for factor in node.factors if not isinstance(factor, Group))
    vector = next((factor for factor in node.factors if isinstance(factor, Group)), None)
    if (
        vector is None
        or len(scalars) + 1 != len(node.factors)
        or variables(*scalars)
        or _size(node) > MAX_SIZE
    ):
        return node
    return Group("(", ")", tuple(Product((*scalars, item)) for item in vector.items))


def _matrix_sum(node: Sum) -> Node:
    matrices = [term.rows for term in node.terms if isinstance(term, Matrix)]
    if len({(len(rows), len(rows[0])) for rows in matrices}) != 1 or _size(node) > MAX_SIZE:
        return node
    return Matrix(tuple(tuple(map(Sum, zip(*rows, strict=True))) for rows in zip(*matrices, strict=True)))


def _matrix_product(node: Product) -> Node:
    """Multiply out scalars and matrices; the node itself where they don't fit or grow too large."""
    scalars = tuple(factor for factor in node.factors if not isinstance(factor, Matrix))
    matrices = [factor.rows for factor in node.factors if isinstance(factor, Matrix)]
    if any(isinstance(scalar, Group | Relation | Listing) for scalar in scalars):
        return node
    rows = matrices[0]
    for other in matrices[1:]:
        cost = _size(Matrix(rows)) * len(other[0]) + _size(Matrix(other)) * len(rows)
        if len(rows[0]) != len(other) or cost > MAX_SIZE:
            return node
        columns = tuple(zip(*other, strict=True))
        rows = tuple(tuple(_dot(row, column) for column in columns) for row in rows)
    cells = sum(map(len, rows))
    if scalars and sum(map(_size, scalars)) * cells > MAX_SIZE:
        return node
    return (
        Matrix(tuple(tuple(Product((*scalars, entry)) for entry in row) for row in rows))
        if scalars
        else Matrix(rows)
    )


def _dot(row: tuple[Node, ...], column: tuple[Node, ...]) -> Node:
    products: tuple[Node, ...] = tuple(Product(pair) for pair in zip(row, column, strict=True))
    return products[0] if len(products) == 1 else Sum(products)


def _size(node: Node) -> int:
    size = 0
    for size, _ in enumerate(walk(node), start=1):
        if size > MAX_SIZE:
            break
    return size


def _list_signs(node: Node) -> Node:
    """Return the node with each item that has a plus-minus sign replaced by its two values."""
    items = node.items if isinstance(node, Listing) and node.joint != ":" else (node,)
    items_with_signs = _both_signs(items)
    if len(items_with_signs) == len(items):
        return node
    return Listing(tuple(items_with_signs), node.joint if isinstance(node, Listing) else ",")


def _both_signs(items: tuple[Node, ...]) -> list[Node]:
    items_with_signs: list[Node] = []
    for item in items:
        if any(isinstance(part, PlusMinus) for part in walk(item)):
            items_with_signs += [choose_sign(item, 1), choose_sign(item, -1)]
        else:
            items_with_signs.append(item)
    return items_with_signs


def _by_name(node: Node) -> Node:
    """Return `(x, y) = (1, 2)` as `x = 1, y = 2`."""
    match node:
        case Relation((Group("(", ")", names), Group("(", ")", values)), ("=",)) if len(names) == len(
            values
        ) and all(isinstance(name, Symbol) for name in names):
            pairs = zip(names, values, strict=True)
            return Listing(tuple(Relation(pair, ("=",)) for pair in pairs), ",")
        case _:
            return node
