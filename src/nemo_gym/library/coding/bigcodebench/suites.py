"""The names of the tests in the text of a suite, which is not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from nemo_gym.wire.errors import TaskUnfit

MAX_TEXT: Final = 100_000
"""The most characters of a suite."""
CLASS: Final = "TestCases"


def names_of_tests(text: str) -> frozenset[str]:
    """The names of the tests in a suite: those of the class `TestCases` and of its bases in the same text,
    without those that the suite itself skips.

    Raises:
        TaskUnfit: the text is no Python, is too long, or has no such test.
    """
    tree = _parsed(text)
    if tree is None:
        raise TaskUnfit(f"test: no Python code of at most {MAX_TEXT} characters")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    tests: dict[str, bool] = {}
    waiting, known = [CLASS], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in classes and name not in known:
            known.add(name)
            waiting += [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
            tests = {**dict(_methods(classes[name])), **tests}
    names = frozenset(name for name, runs in tests.items() if runs)
    if not names:
        raise TaskUnfit(f"test: no class {CLASS} with a test")
    return names


def _methods(node: ast.ClassDef) -> Iterator[tuple[str, bool]]:
    """Each test with whether it is run."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test"):
            yield each.name, not any("skip" in ast.unparse(one) for one in each.decorator_list)


def _parsed(text: str) -> ast.Module | None:
    """The syntax tree of a text; None when it is no Python or too long."""
    try:
        return ast.parse(text) if len(text) <= MAX_TEXT else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
