"""Conditions on an answer: which of them may be missing, and the parameters that they bind."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nemo_gym.verifiers.math.evaluate import Budget, Evaluator, Undefined
from nemo_gym.verifiers.math.labels import label_of
from nemo_gym.verifiers.math.regions import LINE, Region, Regions
from nemo_gym.verifiers.math.tree import Node, Noted, Relation, Symbol, rename, variables

MAX_PROBES = 24
_PARAMETERS = frozenset("klmn")


class Notes:
    """Two answers and their notes, with a parameter such as the k of `k in Z` named alike."""

    def __init__(self, gold: Node, prediction: Node, budget: Budget) -> None:
        self.budget = budget
        self.gold, self.of_gold = _apart(gold)
        self.prediction, self.of_prediction = _apart(prediction)
        name, other = _parameter(self.of_gold), _parameter(self.of_prediction)
        if name and not other:
            extra = set(variables(self.prediction)) - set(variables(self.gold))
            other = extra.pop() if len(extra) == 1 and extra <= _PARAMETERS else ""
        if name and other and name != other and name not in variables(self.prediction):
            self.prediction = rename(self.prediction, other, name)
            self.of_prediction = tuple(rename(note, other, name) for note in self.of_prediction)

    def may_be_missing(self, note: Node, others: Sequence[Node]) -> bool:
        """Whether a note adds nothing that the other answer denies.

        Single numbers left out, and whole-number parameters, may go unsaid. An inequality may where the
        formula is undefined wherever the inequality fails.
        """
        if not isinstance(note, Relation):
            return False
        free = set(variables(self.gold_value()))
        if not set(variables(note)) & free or any(
            isinstance(other, Relation) and other.operators == note.operators for other in others
        ):
            return False
        match note:
            case Relation(_, ("!=",)):
                return True
            case Relation((Symbol(), Symbol(name)), ("∈",)) if name.startswith("\\mathbb"):
                return True
            case _:
                region = Regions(self.budget).read(note)
                if region == LINE:
                    return True
                return region is not None and len(free) == 1 and self.undefined_outside(region, free.pop())

    def may_go_unsaid(self, note: Node) -> bool:
        """Whether an answer without any note on the variables of an expected note may leave it out."""
        names = set(variables(note))
        if not isinstance(note, Relation) or not names or not names <= set(variables(self.gold_value())):
            return False
        return not any(names & set(variables(other)) for other in self.of_prediction)

    def gold_value(self) -> Node:
        match self.gold:
            case Relation((first, value), ("=",)) if label_of(first):
                return value
            case _:
                return self.gold

    def undefined_outside(self, region: Region, name: str) -> bool:
        """Whether the answer has no real value at probes outside a region, of which there must be some."""
        outside = [place for place in _probes(region) if not region.holds(place)]
        return bool(outside) and not any(self.is_defined(place, name) for place in outside)

    def is_defined(self, place: Fraction, name: str) -> bool:
        try:
            Evaluator(self.budget, {name: place}, real=True).value(self.gold_value())
        except Undefined:
            return False
        return True


def _apart(node: Node) -> tuple[Node, tuple[Node, ...]]:
    return (node.node, node.notes) if isinstance(node, Noted) else (node, ())


def _parameter(notes: Sequence[Node]) -> str:
    """Return the only variable that the notes put into a set; empty when there is none or several."""
    names = [
        note.sides[0].name
        for note in notes
        if isinstance(note, Relation) and note.operators == ("∈",) and isinstance(note.sides[0], Symbol)
    ]
    return names[0] if len(names) == 1 else ""


def _probes(region: Region) -> list[Fraction]:
    places = [Fraction(place.place) for place in region.breaks][:MAX_PROBES]
    near = [
        place + step for place in places for step in (0, Fraction(-1, 97), Fraction(1, 97), -3, 3, -50, 50)
    ]
    return [*near, Fraction(-1_000), Fraction(1_000)]
