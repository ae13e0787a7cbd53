"""Tests of a repository that a model has changed: calls of its code, and their expected results.

```python
tests = [CallTest("adds", "total([1, 2])", setup="from shop.sums import total", expected="3")]
results = await run_call_tests(session, {"shop/sums.py": text}, tests)
```

Each call runs in a process of its own, in a sandbox that gets the repository and the calls. The expected
results stay outside: a value comes back as JSON and is compared by its exact type. So the repository can't
read what is expected, and nothing that it does to its own process makes a wrong value right.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from nemo_gym.environments import repository_script
from nemo_gym.environments.code_tests import MAX_CODE, CodeCase, CodeRun, run_cases
from nemo_gym.environments.repository_files import MAX_DEPTH, MAX_FILES, MAX_PATH
from nemo_gym.environments.session import Session
from nemo_gym.sandbox import SandboxPool
from nemo_gym.verifiers.plain_values import same_value
from nemo_gym.wire.errors import TaskUnfit

MAX_TESTS: Final = 500
MAX_TEXT: Final = 20_000
"""The most characters of a call, its setup or its expected result."""
MAX_REPOSITORY: Final = 512 << 10
"""The most bytes of all files of a repository together."""
TOLERANCE: Final = 1e-9
_MAX_PROBLEM: Final = 200
_NOT_REACHED: Final = "the time or the room for the tests is used up"
_SOURCE: Final = inspect.getsource(repository_script)


class CallTest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call and its expected result: either `expected` or `raises`."""

    name: str
    call: str
    """A Python expression."""
    setup: str = ""
    """Python statements before the call, such as imports."""
    expected: str | None = None
    """A Python literal, such as `[(1, 'a')]`: the value of the expression."""
    raises: str | None = None
    """The name of a built-in exception class that the call has to raise, or a subclass of it."""

    def problem(self, run: CodeRun) -> str | None:
        """What is wrong about a run of the call; None if it gives the expected result."""
        if run.status != "ok":
            return f"{run.status}: {(run.error.splitlines() or [''])[-1]}"[:_MAX_PROBLEM]
        try:
            kind, result = run.value()
        except (ValueError, TypeError):
            return "returns no plain value"
        if kind == "raises" and self.raises is not None:
            right = issubclass(getattr(builtins, str(result), object), exception_named(self.raises))
        elif kind == "value" and self.expected is not None:
            right = same_value(result, literal(self.expected), tolerance=TOLERANCE)
        else:
            right = False
        return None if right else f"{'raises' if kind == 'raises' else 'returns'} {result!r}"[:_MAX_PROBLEM]


class CallResults(msgspec.Struct, frozen=True):
    """The names of the tests that pass, and of all others with what is wrong."""

    passed: list[str]
    failed: dict[str, str]

    @property
    def all_pass(self) -> bool:
        """Whether every test passes, and there is one."""
        return bool(self.passed) and not self.failed

    @property
    def passed_share(self) -> float:
        """The share of the tests that pass."""
        return len(self.passed) / max(1, len(self.passed) + len(self.failed))


def check_tests(tests: Sequence[CallTest]) -> None:
    """Check that tests can be scored.

    Raises:
        TaskUnfit: there are none or too many, or one of them has no name of its own, no valid Python or not
            exactly one valid expected result.
    """
    if not 0 < len(tests) <= MAX_TESTS:
        raise TaskUnfit(f"the row has {len(tests)} tests; expected 1 to {MAX_TESTS}")
    if len({test.name for test in tests}) < len(tests):
        raise TaskUnfit("two tests of the row have the same name")
    for test in tests:
        try:
            _check_test(test)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            raise TaskUnfit(f"test {test.name[:80]!r}: {str(error)[:200]}") from None


def _check_test(test: CallTest) -> None:
    if max(map(len, (test.call, test.setup, test.expected or ""))) > MAX_TEXT:
        raise ValueError(f"a text of it is longer than {MAX_TEXT} characters")
    ast.parse(test.setup)
    ast.parse(test.call, mode="eval")
    if (test.expected is None) is (test.raises is None):
        raise ValueError("expected exactly one of `expected` and `raises`")
    if test.expected is not None:
        value = literal(test.expected)
        if not same_value(value, value):
            raise ValueError("`expected` is not a plain value")
    if test.raises is not None:
        exception_named(test.raises)


def check_files(files: Mapping[str, str]) -> None:
    """Check the files of a row.

    Raises:
        TaskUnfit: there are none or too many, they are too large or not in UTF-8, or a path is not a plain
            path below a folder.
    """
    if not 0 < len(files) <= MAX_FILES:
        raise TaskUnfit(f"files: the row has {len(files)}; expected 1 to {MAX_FILES}")
    for name, text in files.items():
        parts = name.split("/")
        plain = name == str(PurePosixPath(name)) and name[0] != "/" and len(name) <= MAX_PATH
        if (
            not plain
            or {".", "..", ".git", "__pycache__"} & {*parts}
            or len(parts) > MAX_DEPTH
            or "\0" in name
        ):
            raise TaskUnfit(f"files: {name[:80]!r} is not a plain path below the working directory")
        try:
            (name + text).encode()
        except UnicodeEncodeError:
            raise TaskUnfit(f"files: {name[:80]!r} has a lone surrogate, which UTF-8 can't encode") from None
    size = max(len(repr(dict(files))), sum(len(text.encode()) for text in files.values()))
    if size > MAX_REPOSITORY:
        raise TaskUnfit(f"files: together {size} bytes; expected at most {MAX_REPOSITORY}")


async def run_call_tests(
    holder: Session | SandboxPool,
    files: Mapping[str, str],
    tests: Sequence[CallTest],
    *,
    seconds: float = 120.0,
    seconds_each: float = 4.0,
) -> CallResults:
    """The results of tests on a repository. A test that is not reached has failed.

    Args:
        files: the text of each file by its path.
        seconds: the time limit of all tests together, without the wait for a sandbox.
        seconds_each: the time limit of one test.

    Raises:
        EnvironmentFault: the sandbox can't be created or fails.
        TaskUnfit: the tests can't be scored.
    """
    await asyncio.to_thread(check_tests, tests)
    code = f"{_SOURCE}\nFILES = {dict(files)!r}\n"
    problems: dict[str, str | None] = {}
    if len(code) <= MAX_CODE:
        spent = 0.0
        limit = max(0.1, min(seconds, seconds_each))
        cases = [CodeCase(arguments=[test.setup, test.call], seconds=limit) for test in tests]
        runs: Any = run_cases(holder, code, cases, function="outcome", every_case=True)
        async with aclosing(runs):
            waiting = iter(tests)
            async for run in runs:
                test = next(waiting)
                problems[test.name] = await asyncio.to_thread(test.problem, run)
                spent += run.seconds or limit  # A test that ended the script has no time of its own.
                if spent > seconds:
                    break
    failed = {test.name: problem for test in tests if (problem := problems.get(test.name, _NOT_REACHED))}
    return CallResults([test.name for test in tests if test.name not in failed], failed)


def literal(text: str) -> Any:
    """The value of a Python literal.

    Raises:
        ValueError, SyntaxError, TypeError, RecursionError, MemoryError: it is no literal.
    """
    return ast.literal_eval(text)


def exception_named(name: str) -> type[Exception]:
    """The built-in exception class of a name.

    Raises:
        ValueError: there is none.
    """
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind
    raise ValueError(f"{name[:80]!r} is not the name of a built-in exception class")


def unittest_file(tests: Sequence[CallTest]) -> str:
    """The text of a file for `python -m unittest` with the same tests."""
    lines = ["import unittest", "", "", "class Tests(unittest.TestCase):"]
    for test in tests:
        lines += [
            f"    def test_{test.name}(self):",
            *(f"        {line}" for line in test.setup.splitlines()),
        ]
        if test.raises is not None:
            lines += [f"        with self.assertRaises({test.raises}):", f"            {test.call}", ""]
        else:
            lines += [f"        self.assertEqual({test.call}, {test.expected})", ""]
    return "\n".join(lines)
