"""Tests as calls of a repository: what passes, what is refused, and that every test is reported."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

from nemo_gym.environments import repository_tests
from nemo_gym.environments.repository_tests import (
    CallResults,
    CallTest,
    check_files,
    check_tests,
    run_call_tests,
    unittest_file,
)
from nemo_gym.sandbox import SandboxPool
from nemo_gym.wire.errors import TaskUnfit

SETUP = "from shop.prices import *"
CODE = """
import time
from .names import Same

class Refusal(LookupError): pass

def double(x): return 2 * x
def pair(): return (1, 2.0)
def refuse(): raise Refusal("no")
def same(): return Same()
def leave(): raise SystemExit(0)
def end(): __import__("os")._exit(0)
def sleep(): time.sleep(60)
"""
FILES = {
    "shop/__init__.py": "",
    "shop/names.py": "class Same(int):\n    __eq__ = lambda self, other: True\n",
    "shop/prices.py": CODE,
    "data.txt": "é\r\n",
}


async def results_of(tests: list[CallTest], files: dict[str, str] = FILES, **limits: float) -> CallResults:
    pool = SandboxPool()
    try:
        return await run_call_tests(pool, files, tests, **limits)
    finally:
        await pool.aclose()


async def test_values_are_compared_by_their_exact_types_and_exceptions_by_their_classes() -> None:
    right = [
        CallTest("value", "double(3)", SETUP, expected="6"),
        CallTest("types", "pair()", SETUP, expected="(1, 2.0)"),
        CallTest("state", "x", SETUP + "\nx = []\nx.append(double(1))", expected="[2]"),
        CallTest("raises", "refuse()", SETUP, raises="LookupError"),
        CallTest("file", "open('data.txt', newline='', encoding='utf-8').read()", expected="'é\\r\\n'"),
    ]
    wrong = [
        CallTest("other value", "double(3)", SETUP, expected="7"),
        CallTest("bool", "double(3) == 6", SETUP, expected="1"),
        CallTest("list", "pair()", SETUP, expected="[1, 2.0]"),
        CallTest("equal to all", "same()", SETUP, expected="0"),
        CallTest("other class", "refuse()", SETUP, raises="ValueError"),
        CallTest("nothing raised", "double(3)", SETUP, raises="ValueError"),
        CallTest("raised", "refuse()", SETUP, expected="None"),
        CallTest("setup", "1", "from shop.prices import nothing", expected="1"),
        CallTest("object", "double", SETUP, expected="None"),
    ]
    results = await results_of([*right, *wrong])
    assert results.passed == [test.name for test in right]
    assert list(results.failed) == [test.name for test in wrong]
    assert results.failed["other value"] == "returns 6"
    assert results.failed["other class"] == "raises 'LookupError'"
    assert results.failed["setup"].startswith("error: ImportError: cannot import name 'nothing'")
    assert results.failed["object"].startswith("error: TypeError")


async def test_every_test_is_reported_though_the_code_ends_its_process() -> None:
    calls = ("double(1)", "leave()", "double(1)", "end()", "sleep()", "double(1)")
    tests = [CallTest(str(number), call, SETUP, expected="2") for number, call in enumerate(calls)]
    results = await results_of(tests, seconds_each=10.0)
    assert (results.passed, list(results.failed)) == (["0", "2", "5"], ["1", "3", "4"])
    assert results.passed_share == 0.5
    assert not results.all_pass


async def test_tests_beyond_the_time_limit_fail() -> None:
    tests = [CallTest(str(number), "double(1)", SETUP, expected="2") for number in range(3)]
    assert {"1", "2"} <= set((await results_of(tests, seconds=0.0)).failed)


async def test_a_repository_that_is_too_large_fails_every_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_tests, "MAX_CODE", 1000)
    results = await results_of([CallTest("one", "1", expected="1")])
    assert list(results.failed) == ["one"]


def test_no_results_are_no_success() -> None:
    assert not CallResults([], {}).all_pass
    assert CallResults([], {}).passed_share == 0.0


@pytest.mark.parametrize(
    "test",
    [
        {"expected": "f(1)"},
        {"expected": "b" * 30_000},
        {"expected": "(" * 5000},
        {"expected": "..."},
        {"expected": "1", "call": "x ="},
        {"expected": "1", "call": "x\0"},
        {"expected": "1", "setup": "def"},
        {"expected": "1", "raises": "ValueError"},
        {},
        {"raises": "SystemExit"},
        {"raises": "print"},
    ],
)
def test_a_test_that_says_nothing_clear_is_refused(test: dict[str, Any]) -> None:
    with pytest.raises(TaskUnfit, match="test 'x'"):
        check_tests([CallTest("x", **{"call": "1", **test})])


def test_no_tests_too_many_tests_and_equal_names_are_refused() -> None:
    one = CallTest("x", "1", expected="1")
    for tests in ([], [one, one], [CallTest(str(n), "1", expected="1") for n in range(501)]):
        with pytest.raises(TaskUnfit):
            check_tests(tests)


@pytest.mark.parametrize(
    "name", ["", "../x", "/x", "a//b", "./a", "a/../b", "a\0", "x" * 600, ".git/hooks", ".", "\ud800"]
)
def test_files_outside_of_the_repository_are_refused(name: str) -> None:
    with pytest.raises(TaskUnfit):
        check_files({name: ""})


def test_hidden_files_are_files_like_others() -> None:
    check_files({".gitignore": "", ".github/workflows/test.yaml": "é"})


def test_no_files_too_many_large_files_and_lone_surrogates_are_refused() -> None:
    many = {str(number): "" for number in range(501)}
    for files in ({}, many, {"a": "x" * (1 << 20)}, {"a": "\0" * (1 << 18)}, {"a": "\udc80"}):
        with pytest.raises(TaskUnfit):
            check_files(files)


def test_tests_can_be_written_as_a_file_for_unittest() -> None:
    tests = [
        CallTest("sum", "x + 1", "x = 1", expected="2"),
        CallTest("wrong", "1", expected="2"),
        CallTest("error", "int('a')", raises="ValueError"),
    ]
    names: dict[str, Any] = {}
    exec(unittest_file(tests), names)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(names["Tests"]).run(result)
    assert (result.testsRun, len(result.failures), len(result.errors)) == (3, 1, 0)
