"""Our verdicts and those of bfcl-eval's checker on its own questions. Lists disagreements.

Right calls come from the possible answers in the package; each also gets wrong in several ways. Run by
`make test-agreement-function_calling`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import bfcl_eval
import pytest
from bfcl_eval.constants.enums import Language
from bfcl_eval.constants.model_config import MODEL_CONFIG_MAPPING
from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

from nemo_gym.verifiers.possible_calls import match_possible
from nemo_gym.verifiers.tool_calls import Call

DATA = Path(bfcl_eval.__file__).parent / "data"
CATEGORIES = (
    "simple_python", "multiple", "parallel", "parallel_multiple",
    "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple",
)  # fmt: skip
MODEL = next(
    name for name, config in MODEL_CONFIG_MAPPING.items() if not config.underscore_to_dot and "_" not in name
)
"""A model for which the checker leaves the names of functions as they are."""
Calls = list[dict[str, dict[str, Any]]]


class Input(NamedTuple):
    """Calls for a question of the leaderboard."""

    category: str
    id: str
    change: str
    functions: list[dict[str, Any]]
    possible: list[dict[str, Any]]
    calls: Calls


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def inputs() -> Iterator[Input]:
    for category in CATEGORIES:
        questions = lines(DATA / f"BFCL_v4_{category}.json")
        answers = {row["id"]: row for row in lines(DATA / "possible_answer" / f"BFCL_v4_{category}.json")}
        for question in questions:
            possible = answers[question["id"]]["ground_truth"]
            for change, calls in changes(possible):
                yield Input(category, question["id"], change, question["function"], possible, calls)


def changes(possible: list[dict[str, Any]]) -> Iterator[tuple[str, Calls]]:
    first, last = [right_calls(possible, index) for index in (0, -1)]
    yield "the first values", first
    yield "the last values", last
    yield "reversed", first[::-1]
    yield "a call twice", [*first, first[0]]
    yield "a call less", first[1:]
    (name, arguments), *_ = first[0].items()
    yield "another name", [{f"{name}_x": arguments}, *first[1:]]
    yield "a further argument", [{name: {**arguments, "zzz": 1}}, *first[1:]]
    for key, value in list(arguments.items())[:2]:
        without = {other: item for other, item in arguments.items() if other != key}
        yield "an argument less", [{name: without}, *first[1:]]
        for change, changed in wrong_values(value):
            yield change, [{name: {**arguments, key: changed}}, *first[1:]]


def wrong_values(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield "the other truth", not value
    elif isinstance(value, int | float):
        yield "one more", value + 1
        yield "a number as text", str(value)
        yield "a float", float(value)
    elif isinstance(value, str):
        yield "upper case", value.upper()
        yield "a word more", f"{value} more"
        yield "a space in front", f" {value}"
    elif isinstance(value, list):
        yield "a list reversed", value[::-1]
        yield "a shorter list", value[:-1]
        yield "an empty list", []
    elif isinstance(value, dict):
        yield "an empty object", {}
        yield "a further field", {**value, "zzz": 1}
    yield "null", None


def right_calls(possible: list[dict[str, Any]], index: int) -> Calls:
    return [
        {
            name: {
                key: first_of(values, index)
                for key, values in answers.items()
                if values and (values[index] != "" or "" not in values)
            }
        }
        for call in possible
        for name, answers in call.items()
    ]


def first_of(values: list[Any], index: int) -> Any:
    value = values[index]
    if isinstance(value, dict):
        return {
            key: first_of(inner, 0)
            for key, inner in value.items()
            if isinstance(inner, list) and inner and inner[0] != ""
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [first_of([item], 0) for item in value]
    return copy.deepcopy(value)


def their_verdict(given: Input) -> bool | str:
    functions = copy.deepcopy(given.functions)
    try:
        verdict = ast_checker(functions, given.calls, given.possible, Language.PYTHON, given.category, MODEL)
    except Exception as error:
        return type(error).__name__
    return bool(verdict["valid"])


def our_verdict(given: Input) -> bool:
    calls = [Call(name, arguments) for call in given.calls for name, arguments in call.items()]
    return match_possible(given.functions, given.possible, calls).value == 1.0


def test_verdicts_agree(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [(given, our_verdict(given), their_verdict(given)) for given in inputs()]
    crashes = [(given, ours) for given, ours, theirs in pairs if isinstance(theirs, str)]
    scored = [(given, ours, theirs) for given, ours, theirs in pairs if isinstance(theirs, bool)]
    differing = [(given, ours, theirs) for given, ours, theirs in scored if ours != theirs]
    right = sum(theirs for _, _, theirs in scored)
    with capsys.disabled():
        share = 100 * (1 - len(differing) / len(scored))
        print(
            f"\n{len(scored)} inputs, {right} right ones, {share:.2f} % equal;"
            f" the checker crashed on {len(crashes)}"
        )
        for given, ours, theirs in differing:
            print(f"  {given.id:<34} {given.change:<20} ours {ours!s:<6} theirs {theirs!s:<6}")
    assert 500 <= right <= len(scored) - 500
    assert len(differing) <= 0.01 * len(scored)
    assert {(given.id, given.change): ours for given, ours, _ in differing} == DISAGREEMENTS
    assert not any(ours for _, ours in crashes)


DISAGREEMENTS = {("parallel_178", "reversed"): True}
"""Our verdict for every input where both differ. The checker pairs each expected call of `parallel_178` with
the first call that fits, and so runs out of calls for a later one. The calls are the expected ones in
reverse, so ours, from the largest matching, is right."""
