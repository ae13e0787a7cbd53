"""Compares two trees as answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd

from nemo_gym.verifiers.math.evaluate import Budget
from nemo_gym.verifiers.math.labels import (
    assignments,
    is_about_unknowns,
    label_of,
    labels_agree,
    point_of,
    rename_argument,
    rename_constant,
    unit_as_factors,
    value_of,
)
from nemo_gym.verifiers.math.literals import spelling
from nemo_gym.verifiers.math.logic import equivalent
from nemo_gym.verifiers.math.modular import residues
from nemo_gym.verifiers.math.normal import normal
from nemo_gym.verifiers.math.notes import Notes
from nemo_gym.verifiers.math.regions import Regions
from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Apply,
    Based,
    Builder,
    Clock,
    Combination,
    Group,
    Listing,
    Matrix,
    Modular,
    Node,
    Noted,
    Number,
    Power,
    Product,
    Quantity,
    Relation,
    Sum,
    Symbol,
    Words,
    negate,
    variables,
)
from nemo_gym.verifiers.math.units import conversion
from nemo_gym.verifiers.math.values import Values

MAX_ITEMS = 64


def same(gold: Node, prediction: Node, budget: Budget) -> bool:
    """Whether `prediction` answers `gold`; raises Exhausted when the budget runs out first."""
    return _Comparison(budget).same(normal(gold), normal(prediction))


@dataclass
class _Comparison:
    budget: Budget
    values: Values = field(init=False)

    def __post_init__(self) -> None:
        self.values = Values(self.budget)

    def same(self, gold: Node, prediction: Node) -> bool:
        self.budget.spend(4)
        if gold == prediction:
            return True
        verdict = self.same_points(gold, prediction)
        if verdict is None:
            verdict = self.same_statements(gold, prediction)
        if verdict is not None:
            return verdict
        match gold, prediction:
            case (Modular(), _) | (_, Modular()):
                return self.same_modulo(gold, prediction)
            case (Noted(), _) | (_, Noted()):
                return self.same_noted(gold, prediction)
            case (Clock(), _) | (_, Clock()):
                return self.same_times(gold, prediction)
            case (Relation(), _) | (_, Relation()):
                return self.same_relations(gold, prediction)
            case (Quantity(), _) | (_, Quantity()):
                return self.same_quantities(gold, prediction)
            case Words(left), Words(right):
                return left == right
            case (Listing(_, ":"), _) | (_, Listing(_, ":")):
                return self.same_ratios(gold, prediction)
            case Builder(head, conditions), Builder(head_too, conditions_too):
                return self.same(head, head_too) and self.same_in_any_order(conditions, conditions_too)
            case Matrix(left), Matrix(right):
                return len(left) == len(right) and all(map(self.same_in_order, left, right))
            case (Matrix(rows), Group("(" | "[", ")" | "]", items)) | (
                Group("(" | "[", ")" | "]", items),
                Matrix(rows),
            ):
                entries = _vector(rows)
                if gold is prediction or entries is None:
                    return False
                return (
                    self.same_in_order(entries, items)
                    if isinstance(gold, Matrix)
                    else self.same_in_order(items, entries)
                )
            case Combination(sign, left), Combination(sign_too, right):
                ordered = sign in ("∖", "⇒")
                compare = self.same_in_order if ordered else self.same_in_any_order
                return sign == sign_too and compare(left, right)
            case (Listing() | Group(), _) | (_, Listing() | Group()):
                return self.same_collections(gold, prediction)
            case (Matrix() | Words() | Combination() | Builder(), _) | (
                _,
                Matrix() | Words() | Combination() | Builder(),
            ):
                return False
            case _:
                return self.same_values(gold, prediction)

    def same_points(self, gold: Node, prediction: Node) -> bool | None:
        """Compare points, of which either side may leave out the name; None for anything else."""
        point = point_of(gold) if isinstance(gold, Product) else None
        point_too = point_of(prediction) if isinstance(prediction, Product) else None
        if point and point_too:
            return point[0] == point_too[0] and self.same(point[1], point_too[1])
        if point and isinstance(prediction, Group):
            return self.same(point[1], prediction)
        if point_too and isinstance(gold, Group):
            return self.same(gold, point_too[1])
        return None

    def same_statements(self, gold: Node, prediction: Node) -> bool | None:
        """Compare sets of real numbers or logical statements; None when that isn't what these are."""
        if isinstance(gold, Combination | Apply) and isinstance(prediction, Combination | Apply):
            verdict = equivalent(gold, prediction)
            if verdict is not None:
                return verdict
        if not _may_be_region(gold, prediction):
            return None
        left, right = Regions(self.budget), Regions(self.budget)
        one, other = left.read(gold), right.read(prediction)
        if one is None or other is None:
            return None
        return (
            one.at == other.at
            and one.between == other.between
            and all(self.same(a.node, b.node) for a, b in zip(one.breaks, other.breaks, strict=True))
            and len(left.names) < 2
            and len(right.names) < 2
            and (not left.names or not right.names or left.names == right.names)
        )

    def same_in_order(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        return len(gold) == len(prediction) and all(map(self.same, gold, prediction))

    def same_in_any_order(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        if len(gold) != len(prediction) or len(gold) > MAX_ITEMS:
            return False
        return self.all_have_partners(gold, prediction, self.same)

    def all_have_partners(
        self, gold: tuple[Node, ...], prediction: tuple[Node, ...], same: Callable[[Node, Node], bool]
    ) -> bool:
        """Whether each expected item has a partner, which is the first equal one that is free."""
        free = list(prediction)
        for item in gold:
            position = next((at for at, other in enumerate(free) if same(item, other)), None)
            if position is None:
                return False
            del free[position]
        return True

    def same_sets(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        """Whether every member of each set is in the other, however often it is written."""
        if max(len(gold), len(prediction)) > MAX_ITEMS:
            return False
        return all(any(self.same(item, other) for other in prediction) for item in gold) and all(
            any(self.same(item, other) for item in gold) for other in prediction
        )

    def same_collections(self, gold: Node, prediction: Node) -> bool:
        """Compare sets, lists and tuples. Only a tuple has an order, also against a bare list."""
        names, names_too = assignments(gold), assignments(prediction)
        if names or names_too:
            return self.same_assignments(gold, prediction)
        match gold, prediction:
            case Group("cases", _, left), Group("cases", _, right):
                return self.same_cases(left, right)
            case Listing(left, joint), Listing(right, joint_too):
                are_names = all(isinstance(item, Symbol | Words) for item in left)
                if are_names and joint != joint_too and "or" in (joint, joint_too):
                    return False
                return self.same_in_any_order(left, right)
            case (Group("{", "}", left), Listing(right)) | (Listing(left), Group("{", "}", right)):
                return self.same_in_any_order(left, right)
            case Group("{", "}", left), Group("{", "}", right):
                return self.same_sets(left, right)
            case (Group("(", ")", left), Listing(right, "," | "and")) | (
                Listing(left, "," | "and"),
                Group("(", ")", right),
            ):
                return self.same_in_order(left, right)
            case Group(opening, closing, left), Group(opening_too, closing_too, right):
                return (opening, closing) == (opening_too, closing_too) and self.same_in_order(left, right)
            case (Group("{", "}", (item,)), other) | (Group("[", "]", (item,)), other):
                return self.same(item, other)
            case (other, Group("{", "}", (item,))) | (other, Group("[", "]", (item,))):
                return self.same(other, item)
            case _:
                return False

    def same_cases(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        """Compare values with their conditions; `otherwise` is the one condition that has no partner."""
        if (
            len(gold) != len(prediction)
            or len(gold) > MAX_ITEMS
            or max(map(_open_cases, (gold, prediction))) > 1
        ):
            return False
        return self.all_have_partners(gold, prediction, self.same_case)

    def same_case(self, gold: Node, prediction: Node) -> bool:
        match gold, prediction:
            case Noted(left, (condition,)), Noted(right, (condition_too,)):
                open_ended = _OTHERWISE in (condition, condition_too)
                return self.same(left, right) and (open_ended or self.same(condition, condition_too))
            case _:
                return False

    def same_assignments(self, gold: Node, prediction: Node) -> bool:
        """Compare `x = 1, y = 2` by names, or with a tuple or bare list in the order of the names."""
        names, names_too = assignments(gold), assignments(prediction)
        if names and names_too:
            return names.keys() == names_too.keys() and all(
                self.same(value, names_too[name]) for name, value in names.items()
            )
        by_name, other = (names, prediction) if names else (names_too, gold)
        values = tuple((by_name or {}).values())
        match other:
            case Group("(", ")", items) | Listing(items, "," | "and"):
                return self.same_in_order(*((values, items) if names else (items, values)))
            case Group("{", "}", items) if len({name.partition("_")[0] for name in by_name or ()}) == 1:
                return self.same_in_any_order(*((values, items) if names else (items, values)))
            case _:
                return False

    def same_noted(self, gold: Node, prediction: Node) -> bool:
        """Compare answers, then the notes on where they hold; a note that adds nothing may be missing."""
        notes = Notes(gold, prediction, self.budget)
        if not self.same(notes.gold, notes.prediction):
            return False
        unmatched = list(notes.of_prediction)
        for note in notes.of_gold:
            position = next((at for at, other in enumerate(unmatched) if self.same(note, other)), None)
            if position is not None:
                del unmatched[position]
            elif not (notes.may_be_missing(note, notes.of_prediction) or notes.may_go_unsaid(note)):
                return False
        return all(notes.may_be_missing(note, notes.of_gold) for note in unmatched)

    def same_modulo(self, gold: Node, prediction: Node) -> bool:
        """Compare residues; an answer without a modulus has to be the very number.

        A class of numbers is never one number: `5 (mod 6)` does not answer 5.
        """
        match gold, prediction:
            case Modular(left, modulus), Modular(right, modulus_too):
                if not self.same(modulus, modulus_too) or not labels_agree(*map(_label, (left, right))):
                    return False
                expected = residues(gold)
                return self.same(left, right) if expected is None else expected == residues(prediction)
            case Modular(left), _ if not (isinstance(left, Relation) and isinstance(prediction, Relation)):
                return self.same(left, prediction)
            case _:
                return False

    def same_times(self, gold: Node, prediction: Node) -> bool:
        """Compare times of day; one without am or pm may also be a ratio, or be read on a 24-hour clock."""
        match gold, prediction:
            case Clock(), Clock():
                return _time(gold) == _time(prediction) or (
                    gold.half != prediction.half
                    and "" in (gold.half, prediction.half)
                    and (gold.hour, gold.minute, gold.second)
                    == (prediction.hour, prediction.minute, prediction.second)
                )
            case (Clock(hour, 0, 0, half), Number(value)) | (Number(value), Clock(hour, 0, 0, half)):
                return bool(half) and value == hour
            case Clock(hour, minute, 0, ""), Listing(_, ":"):
                return gcd(hour, minute) == 1 and self.same_ratios(_ratio(gold), prediction)
            case Listing(_, ":"), Clock(_, _, 0, ""):
                return self.same_ratios(gold, _ratio(prediction))
            case _:
                return False

    def same_quantities(self, gold: Node, prediction: Node) -> bool:
        """Compare values in one unit; a unit may be missing on either side."""
        match gold, prediction:
            case (Group(_, _, (item,)), _):
                return self.same(item, prediction)
            case (_, Group(_, _, (item,))):
                return self.same(gold, item)
            case _:
                pass
        value, unit = (gold.node, gold.unit) if isinstance(gold, Quantity) else (gold, None)
        value_too, unit_too = (
            (prediction.node, prediction.unit) if isinstance(prediction, Quantity) else (prediction, None)
        )
        if (unit is None or unit_too is None) and variables(value, value_too):
            product = self.same_values_of(unit_as_factors(gold), unit_as_factors(prediction))
            if product:
                return True
        factor = conversion(unit, unit_too)
        if factor is None:
            return False
        return self.same(value, value_too if factor == 1 else Product((Number(factor), value_too)))

    def same_values_of(self, gold: Node | None, prediction: Node | None) -> bool:
        return gold is not None and prediction is not None and self.same(gold, prediction)

    def same_ratios(self, gold: Node, prediction: Node) -> bool:
        match gold, prediction:
            case Listing((first, second), ":"), Product() | Number():
                return self.same_values(Product((first, Power(second, MINUS_ONE))), prediction)
            case Product((Number(), Power(Number(), exponent))), Listing((first, second), ":") if (
                exponent == MINUS_ONE
            ):
                return self.same_values(gold, Product((first, Power(second, MINUS_ONE))))
            case Listing(left, ":"), Listing(right, ":"):
                if len(left) != len(right):
                    return False
                pairs = zip(left[1:], right[1:], strict=True)
                return all(self.same_values(Product((a, right[0])), Product((b, left[0]))) for a, b in pairs)
            case _:
                return False

    def same_relations(self, gold: Node, prediction: Node) -> bool:
        if not isinstance(gold, Relation) and not variables(gold) and is_about_unknowns(prediction):
            return self.same(gold, value_of(prediction))
        if not (isinstance(gold, Relation) and isinstance(prediction, Relation)) and (
            assignments(gold) or assignments(prediction)
        ):
            return False
        prediction = rename_argument(gold, prediction)
        gold_label, gold_value = self.split_label(gold)
        label, value = self.split_label(prediction)
        one_sided = gold_value is None or value is None
        if not one_sided and labels_agree(gold_label, label):
            return self.same(gold_value or gold, value or prediction)
        match gold, prediction:
            case Relation((a, b), ("=",)), Relation((c, d), ("=",)):
                return self.values.proportional(_difference(a, b), _difference(c, d), signed=False)
            case Relation((a, b), (("<" | "<=" | ">" | ">=") as left,)), Relation(
                (c, d), (("<" | "<=" | ">" | ">=") as right,)
            ):
                if len(left) != len(right):
                    return False
                first = _difference(a, b) if left[0] == ">" else _difference(b, a)
                second = _difference(c, d) if right[0] == ">" else _difference(d, c)
                return self.values.proportional(first, second, signed=True)
            case Relation((a, b), ("!=",)), Relation((c, d), ("!=",)):
                return self.values.proportional(_difference(a, b), _difference(c, d), signed=False)
            case Relation(left, operators), Relation(right, operators_too) if operators == operators_too:
                return self.same_in_order(left, right)
            case _:
                return False

    def split_label(self, node: Node) -> tuple[str, Node | None]:
        """Split `x = 5` into its label and value; a chain of equal sides has its last side for value.

        The value is None when the relation isn't of that kind.
        """
        if not isinstance(node, Relation):
            return "", node
        label = label_of(node.sides[0])
        match node.operators:
            case ("∈",) if label:
                return label, node.sides[1]
            case ("=",) if not label and (label := label_of(node.sides[1])):
                return label, node.sides[0]
            case operators if all(operator in "=~" for operator in operators):
                first = bool(label)
                while first and first + 1 < len(node.sides) and operators[first] == "=":
                    if not label_of(node.sides[first]) or node.sides[first] in node.sides[:first]:
                        break
                    first += 1
                sides, between = node.sides[first:], operators[first:]
                exact = sides[: between.index("~") + 1] if "~" in between else sides
                if not label and variables(*exact):
                    return "", None
                agree = all(self.same(exact[0], side) for side in exact[1:]) and all(
                    self.values.is_rough(exact[-1], side) for side in sides[len(exact) :]
                )
                return (label, exact[-1]) if agree else ("", None)
            case _:
                return "", None

    def same_values(self, gold: Node, prediction: Node) -> bool:
        match gold, prediction:
            case Based(digits, base), Based(digits_too, base_too):
                return base == base_too and _in_base(digits, base) == _in_base(digits_too, base) is not None
            case (Based(digits), Number(value)) | (Number(value), Based(digits)):
                return digits == str(value)
            case (Based(digits), Product() as other) | (Product() as other, Based(digits)):
                return digits == spelling(other)
            case _:
                return self.values.same(gold, rename_constant(gold, prediction))


def _may_be_region(gold: Node, prediction: Node) -> bool:
    """Whether the two may be sets that are written differently: not two tuples or two lists."""
    kinds = (Relation, Combination, Builder)
    plain = [isinstance(node, Group) or not _reads_as_region(node) for node in (gold, prediction)]
    return not all(plain) and all(
        isinstance(node, (*kinds, Group)) or _reads_as_region(node) for node in (gold, prediction)
    )


def _reads_as_region(node: Node) -> bool:
    match node:
        case Listing(parts, "or" | "and" | ","):
            return all(isinstance(part, Relation | Combination | Group) for part in parts)
        case Relation(_, ("=",)):
            return False
        case Sum((_, Product((_, Group("{"))))):
            return True
        case Apply("not", (Relation(),)):
            return True
        case _:
            return isinstance(node, Relation | Combination | Builder)


_OTHERWISE = Words("otherwise")


def _open_cases(cases: tuple[Node, ...]) -> int:
    return sum(isinstance(case, Noted) and _OTHERWISE in case.notes for case in cases)


def _label(node: Node) -> str:
    return label_of(node.sides[0]) if isinstance(node, Relation) else ""


def _difference(left: Node, right: Node) -> Node:
    return Sum((left, negate(right)))


def _in_base(digits: str, base: int) -> int | None:
    try:
        return int(digits, base)
    except ValueError:
        return None


def _vector(rows: tuple[tuple[Node, ...], ...]) -> tuple[Node, ...] | None:
    if len(rows) == 1:
        return rows[0]
    return tuple(row[0] for row in rows) if len(rows[0]) == 1 else None


def _time(clock: Clock) -> tuple[int, int, int]:
    """Return a time on a 24-hour clock."""
    hour = clock.hour % 12 + 12 * (clock.half == "pm") if clock.half else clock.hour
    return (hour, clock.minute, clock.second)


def _ratio(clock: Clock) -> Node:
    return Listing((Number(Fraction(clock.hour)), Number(Fraction(clock.minute))), ":")
