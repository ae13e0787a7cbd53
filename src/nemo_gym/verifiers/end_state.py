"""Compare the state of a world with the right one: tables of records, or nested JSON values.

Upper and lower case are the same, except in the columns that the caller names. Lists keep their order, except
under the names that the caller gives.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any, Final

MAX_DIFFERENCES: Final = 20
MAX_DEPTH: Final = 32
_MISSING: Final = object()


def differences(
    expected: object,
    actual: object,
    *,
    case_sensitive: Collection[str] = (),
    unordered: Collection[str] = (),
) -> list[str]:
    """The places where two states differ, at most 20, such as `orders.7.status: 'open' instead of 'paid'`."""
    return list(
        islice(
            _walk(expected, actual, "", "", frozenset(case_sensitive), frozenset(unordered)), MAX_DIFFERENCES
        )
    )


def folded(value: Any, field: str = "", case_sensitive: Collection[str] = ()) -> Any:
    """A state in the form in which it is compared: lower case, except in the fields of `case_sensitive`."""
    if isinstance(value, str):
        return value if field in case_sensitive else value.lower()
    if isinstance(value, Mapping):
        return {key: folded(item, str(key), case_sensitive) for key, item in value.items()}  # type: ignore[misc]
    if isinstance(value, list | tuple):
        return [folded(item, field, case_sensitive) for item in value]  # type: ignore[misc]
    return value


def _walk(
    expected: Any,
    actual: Any,
    path: str,
    field: str,
    cases: frozenset[str],
    sets: frozenset[str],
    depth: int = 0,
) -> Iterator[str]:
    place = path or "state"
    if depth > MAX_DEPTH:
        yield f"{place}: nested too deep"
    elif isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key in dict.fromkeys([*expected, *actual]):  # type: ignore[misc]
            inner = f"{path}.{key}" if path else str(key)  # type: ignore[arg-type]
            pair = expected.get(key, _MISSING), actual.get(key, _MISSING)  # type: ignore[misc]
            yield from _walk(*pair, inner, str(key), cases, sets, depth + 1)  # type: ignore[arg-type]
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _walk_lists(expected, actual, path, field, cases, sets, depth)  # type: ignore[arg-type]
    else:
        yield from _compare_leaves(expected, actual, place, field, cases)


def _compare_leaves(
    expected: Any, actual: Any, place: str, field: str, cases: frozenset[str]
) -> Iterator[str]:
    if expected is _MISSING:
        yield f"{place}: {_short(actual)} should not be there"
    elif actual is _MISSING:
        yield f"{place}: {_short(expected)} is missing"
    elif type(expected) is not type(actual) or folded(expected, field, cases) != folded(actual, field, cases):
        yield f"{place}: {_short(actual)} instead of {_short(expected)}"


def _walk_lists(
    expected: list[Any],
    actual: list[Any],
    path: str,
    field: str,
    cases: frozenset[str],
    sets: frozenset[str],
    depth: int,
) -> Iterator[str]:
    if len(expected) != len(actual):
        yield f"{path or 'state'}: {len(actual)} entries instead of {len(expected)}"
        return
    if field in sets:
        expected, actual = (
            sorted(side, key=lambda item: repr(folded(item, field, cases))) for side in (expected, actual)
        )
    for index, pair in enumerate(zip(expected, actual, strict=True)):
        yield from _walk(*pair, f"{path}[{index}]", field, cases, sets, depth + 1)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
