"""Problems for the environment `evalplus` from the data sets of EvalPlus on the hub."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.jsonl import encode


def write_problems(path: Path, problems: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write a file of problems, and return those that are in it.

    A problem whose inputs JSON can't hold, such as tuples and sets, is left out.
    """
    kept = [problem for problem in problems if _is_json(problem["base_input"])]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.writelines(encode(problem) + b"\n" for problem in kept)
    return kept


def test_inputs(program: str) -> list[Any]:
    """The inputs in a test program of EvalPlus, which assigns them as a literal to `inputs`; it is not run.

    Raises:
        GymError: the program has no such literal.
    """
    try:
        for node in _assignments(program):
            if any(isinstance(target, ast.Name) and target.id == "inputs" for target in node.targets):
                return ast.literal_eval(node.value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise GymError(f"a test program can't be read: {error}") from None
    raise GymError("a test program has no inputs")


def _assignments(program: str) -> Iterator[ast.Assign]:
    return (node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Assign))


def called_name(assertion: str) -> str:
    """The first function that an assertion calls, such as `f` in `assert f(1) == 2`; it is not run.

    Raises:
        GymError: it calls none.
    """
    calls = [node for node in ast.walk(ast.parse(assertion)) if isinstance(node, ast.Call)]
    names = [node.func.id for node in calls if isinstance(node.func, ast.Name)]
    names = [name for name in names if name not in _WRAPPERS]
    if not names:
        raise GymError(f"no function is called in {assertion[:80]!r}")
    return names[0]


_WRAPPERS = frozenset(
    {"set", "sorted", "list", "tuple", "math", "isclose", "abs", "len", "str", "int", "float"}
)


def _is_json(value: Any) -> bool:
    """Whether a value stays the same through JSON."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value)) == value
    except (TypeError, ValueError, OverflowError):
        return False
