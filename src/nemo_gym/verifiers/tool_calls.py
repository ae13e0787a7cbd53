"""Compare the tool calls of a response with the expected ones.

A call's arguments are JSON text from a model: at most 64 KB, 32 levels deep, without a key twice. A call with
anything else has no arguments and matches nothing.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeGuard, TypeVar

E = TypeVar("E")
A = TypeVar("A")

Arguments: TypeAlias = dict[str, Any]
BatchMode = Literal["binary_strict", "fractional", "f1"]

MAX_CHARS: Final = 65_536
MAX_DEPTH: Final = 32
MAX_CALLS: Final = 64
"""A response with more calls than this matches nothing."""
MAX_TOTAL: Final = 262_144
"""The most characters of all arguments of a response together."""
TOLERANCE: Final = 1e-6


class Call(NamedTuple):
    """A tool call; `arguments` is None when their text is no bounded JSON object."""

    name: str
    arguments: Arguments | None


class CallScore(NamedTuple):
    """The result of a comparison: a reward of 0 to 1, and its reason as a short code."""

    value: float
    reason: str


def read_arguments(text: str) -> Arguments | None:
    """The JSON object in a call's argument text, or None. Empty text is an empty object."""
    if len(text) > MAX_CHARS or _nesting(text) > MAX_DEPTH:
        return None
    try:
        value: object = json.loads(text or "{}", object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if is_object(value) else None


def read_calls(calls: Sequence[Mapping[str, Any]]) -> list[Call] | None:
    """The calls of a response, or None when they are too many or too long together."""
    if len(calls) > MAX_CALLS or sum(len(call["arguments"]) for call in calls) > MAX_TOTAL:
        return None
    return [Call(call["name"], read_arguments(call["arguments"])) for call in calls]


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a decoded JSON value is a list."""
    return isinstance(value, list)


def same_json(left: object, right: object) -> bool:
    """Whether two JSON values are equal. A boolean equals no number; 1 equals 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_object(left) and is_object(right):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(map(same_json, left, right))
    return left == right


def contains_call(expected: Call, actual: Call) -> bool:
    """Whether a call has the expected name and every expected argument; it may have further ones."""
    arguments = actual.arguments
    if expected.arguments is None or arguments is None or expected.name != actual.name:
        return False
    return all(
        key in arguments and same_json(value, arguments[key]) for key, value in expected.arguments.items()
    )


def match_all(expected: Sequence[Call], actual: Sequence[Call]) -> CallScore:
    """1 when there are as many calls as expected, and each expected one has a call of its own."""
    if not actual and expected:
        return CallScore(0.0, "no_call")
    if len(expected) != len(actual):
        return CallScore(0.0, "wrong_count")
    right = count_matches(expected, actual, contains_call) == len(expected)
    return CallScore(1.0, "right") if right else CallScore(0.0, "wrong_call")


def count_matches(expected: Sequence[E], actual: Sequence[A], matches: Callable[[E, A], bool]) -> int:
    """The size of the largest matching between expected and actual calls, each used once at most."""
    options = [[index for index, call in enumerate(actual) if matches(want, call)] for want in expected]
    owner: dict[int, int] = {}

    def assign(want: int, visited: set[int]) -> bool:
        for index in options[want]:
            if index in visited:
                continue
            visited.add(index)
            if index not in owner or assign(owner[index], visited):
                owner[index] = want
                return True
        return False

    return sum(assign(want, set()) for want in range(len(expected)))


def compare_values(expected: object, actual: object, threshold: float = 0.0) -> str:
    """Why two argument values differ: `type`, `keys`, `length`, `number`, `word`, `words` or `value`; empty
    when they agree.

    Types must be the same. Floats agree within 1e-6. Texts of several words agree when the words that both
    have, counted with repeats, divided by the words of both together, reach `threshold`; equal texts
    have 0.5, the highest value. Other texts must be equal.
    """
    if type(expected) is not type(actual):
        return "type"
    if is_object(expected) and is_object(actual):
        if expected.keys() != actual.keys():
            return "keys"
        pairs = ((expected[key], actual[key]) for key in expected)
        return next(filter(None, (compare_values(*pair, threshold) for pair in pairs)), "")
    if is_list(expected) and is_list(actual):
        if len(expected) != len(actual):
            return "length"
        pairs = zip(expected, actual, strict=True)
        return next(filter(None, (compare_values(*pair, threshold) for pair in pairs)), "")
    if isinstance(expected, float) and isinstance(actual, float):
        return "" if math.isclose(expected, actual, rel_tol=0.0, abs_tol=TOLERANCE) else "number"
    if isinstance(expected, str) and isinstance(actual, str):
        return _compare_texts(expected, actual, threshold)
    return "" if expected == actual else "value"


def compare_call(expected: Call, actual: Call, threshold: float = 0.0) -> str:
    """Why a call differs from the expected one, or an empty text."""
    if expected.name != actual.name:
        return "wrong_name"
    if actual.arguments is None:
        return "malformed_arguments"
    problem = compare_values(expected.arguments, actual.arguments, threshold)
    return f"wrong_{problem}" if problem else ""


def score_batch(
    expected: Sequence[Call],
    actual: Sequence[Call],
    *,
    mode: BatchMode = "binary_strict",
    allow_subset: bool = False,
    allow_superset: bool = False,
    threshold: float = 0.0,
) -> CallScore:
    """Score several calls in any order.

    Fewer calls than expected need `allow_subset`, more need `allow_superset`; else the score is 0.
    `binary_strict` pays when every required call (the smaller number of both) is matched, `fractional` the
    share of the required calls, `f1` twice the matches over all expected and actual calls.
    """
    if not actual:
        return CallScore(0.0, "no_call")
    if len(actual) < len(expected) and not allow_subset:
        return CallScore(0.0, "too_few_calls")
    if len(actual) > len(expected) and not allow_superset:
        return CallScore(0.0, "too_many_calls")
    matched = count_matches(expected, actual, lambda want, call: not compare_call(want, call, threshold))
    required = min(len(expected), len(actual))
    values = {
        "binary_strict": float(matched == required),
        "fractional": matched / required,
        "f1": 2 * matched / (len(expected) + len(actual)),
    }
    reason = "right" if matched == required else "partly_right" if matched else "wrong_call"
    return CallScore(values[mode], reason)


def _compare_texts(expected: str, actual: str, threshold: float) -> str:
    if expected == actual:
        return ""
    left, right = expected.split(), actual.split()
    if len(left) < 2 or len(right) < 2:
        return "word"
    shared = (Counter(left) & Counter(right)).total()
    return "" if shared / (len(left) + len(right)) >= threshold else "words"


def _unique(pairs: list[tuple[str, Any]]) -> Arguments:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _nesting(text: str) -> int:
    """An upper bound of the depth: brackets inside texts count too."""
    opening = text.count("[") + text.count("{")
    if opening <= MAX_DEPTH:
        return opening
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
