"""Functions checked by unit tests in their own process: references are paid, and known hacks are not."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import Resources
from nemo_gym.library.coding.bigcodebench.environment import BigCodeBench
from nemo_gym.library.coding.bigcodebench.families import draw_problem
from nemo_gym.library.coding.bigcodebench.suites import names_of_tests
from nemo_gym.sandbox import SandboxPool
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import Row
from tests.library.playing import expected_reward, play, play_golden, play_oracle
from tests.library.replaying import check_splits, recorded_hacks, rows

ENVIRONMENT = BigCodeBench()
GOLDEN = list(ENVIRONMENT.golden())
HACKS = recorded_hacks(ENVIRONMENT)
SUITE = "import unittest\nclass TestCases(unittest.TestCase):\n"
RIGHT = "```python\ndef task_func(n):\n    return 2 * n\n```"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can read, as sandboxes need it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def row(
    test: str = "    def test_two(self):\n        self.assertEqual(task_func(1), 2)\n", **fields: Any
) -> Row:
    problem = {
        "task_id": "Test/0",
        "code_prompt": "def task_func(n):",
        "canonical_solution": "    return n + n",
        "test": SUITE + test,
        **fields,
    }
    return {"responses_create_params": {"input": "Double n."}, "verifier_metadata": problem}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_a_known_answer_earns_what_it_should(case: Golden) -> None:
    assert play_golden(ENVIRONMENT, case).value == expected_reward(ENVIRONMENT, case)


@pytest.mark.parametrize("hack", HACKS, ids=lambda hack: hack["name"])
def test_a_known_hack_earns_nothing(hack: dict[str, Any]) -> None:
    expected = {"zero": 0.0, "full": 1.0}[hack["expected"]]
    assert play(ENVIRONMENT, hack["task"], hack["output"]).value == expected


def test_own_tasks_are_solved_by_their_references_and_not_by_empty_functions() -> None:
    tasks = {each["verifier_metadata"]["task_id"]: each for each in rows(ENVIRONMENT)}
    assert len(tasks) == 5
    for task in tasks.values():
        assert play_oracle(ENVIRONMENT, task).value == 1.0
        head = task["verifier_metadata"]["code_prompt"]
        assert play(ENVIRONMENT, task, f"```python\n{head}\n    return 0\n```").value == 0.0


def test_own_tasks_are_distinct_in_disjoint_splits() -> None:
    check_splits(ENVIRONMENT)


def test_a_task_whose_libraries_are_missing_is_refused_and_they_are_named() -> None:
    with pytest.raises(TaskUnfit, match=r"Test/0: sandboxes lack its libraries: .*no_such_library"):
        play(ENVIRONMENT, row(libs=["json", "no_such_library.part"]), RIGHT)


def test_a_folder_of_packages_has_more_libraries(open_folder: Path) -> None:
    (open_folder / "doubling.py").write_text("def double(n):\n    return 2 * n\n")
    task = row(
        code_prompt="from doubling import double\ndef task_func(n):",
        canonical_solution="    return double(n)",
        libs=["doubling"],
    )
    with pytest.raises(TaskUnfit, match="lack"):
        play(ENVIRONMENT, task, RIGHT)
    environment = BigCodeBench({"packages": str(open_folder)})
    pool = SandboxPool({"local": {"create": {"readable": [str(open_folder)]}}})
    link = LocalEnvironment(environment, resources=Resources(sandboxes=pool))
    assert play(link, task, RIGHT).value == 1.0


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("    def check(self): pass\n", "no class TestCases with a test"),
        ("    @unittest.skip('no')\n    def test_a(self): pass\n", "no class TestCases with a test"),
        ("    def test_a(self\n", "no Python code"),
        ("    def test_a(self): self.fail('never')\n", "the reference solution fails here: test_a: failed"),
        (
            "    def test_a(self): self.skipTest('no')\n",
            "the reference solution fails here: test_a: skipped no",
        ),
        (
            "    def test_a(self): pass\nTestCases = None\n",
            "the reference solution fails here: suite: failed",
        ),
    ],
)
def test_a_row_whose_tests_say_nothing_is_refused(test: str, message: str) -> None:
    with pytest.raises(TaskUnfit, match=message):
        play(ENVIRONMENT, row(test), RIGHT)


def test_the_tests_of_bases_and_of_coroutines_count() -> None:
    text = (
        "import unittest\nclass Base:\n    def test_a(self): pass\n    def test_b(self): pass\n"
        "class TestCases(Base, unittest.IsolatedAsyncioTestCase):\n    async def test_c(self): pass\n"
        "    @unittest.skipIf(True, '')\n    def test_b(self): pass\n"
        "class Other(Base):\n    def test_d(self): pass\n"
    )
    assert names_of_tests(text) == {"test_a", "test_c"}


SETUPS = """
    @classmethod
    def setUpClass(cls):
        cls.factor = 2

    def test_subtests(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertEqual(task_func(n), self.factor * n)

    @unittest.expectedFailure
    def test_expected_failure(self):
        self.assertEqual(task_func(1), 3)

    @unittest.mock.patch("builtins.print")
    def test_patches(self, printed):
        import json, os
        with unittest.mock.patch("os.write"), unittest.mock.patch("os.read"):
            self.assertEqual(task_func(4), 8)

    def test_values_without_one_truth(self):
        class Many:
            def __eq__(self, other):
                return [self]
            def __bool__(self):
                raise ValueError
        self.assertIsNotNone(Many())
"""


def test_suites_may_use_what_unittest_has() -> None:
    task = row(test=SETUPS.replace("unittest.mock.patch(", "patch("))
    task["verifier_metadata"]["test"] = (
        "from unittest.mock import patch\n" + task["verifier_metadata"]["test"]
    )
    assert play(ENVIRONMENT, task, RIGHT).value == 1.0
    wrong = play(ENVIRONMENT, task, RIGHT.replace("2 * n", "2 * n if n < 2 else 0"))
    assert (wrong.value, wrong.details["reason"]) == (0.0, "wrong")
    assert wrong.details["failure"].startswith("test_patches: failed AssertionError")


def test_a_failure_after_the_tests_of_a_class_counts() -> None:
    end = (
        "    @classmethod\n    def tearDownClass(cls):\n        assert task_func(5) == 10\n"
        "    def test_a(self):\n        self.assertEqual(task_func(1), 2)\n"
    )
    assert play(ENVIRONMENT, row(end), RIGHT).value == 1.0
    assert play(ENVIRONMENT, row(end), RIGHT.replace("2 * n", "2")).value == 0.0


def test_a_file_that_the_answer_writes_is_no_module_of_the_tests() -> None:
    test = (
        "    def test_a(self):\n        import colorsys\n        assert colorsys.ONE_THIRD < task_func(0.5)\n"
    )
    line = "open('colorsys.py', 'w').write('ONE_THIRD = 1')"
    assert play(ENVIRONMENT, row(test), RIGHT.replace("```python", f"```python\n{line}")).value == 1.0


def test_an_answer_may_use_what_the_reference_uses() -> None:
    code = "```python\nimport gc\ndef task_func(n):\n    gc.collect()\n    return 2 * n\n```"
    assert play(ENVIRONMENT, row(), code).details["failure"] == "suite: refused import gc"
    allowed = row(canonical_solution="    import gc\n    return 2 * n")
    assert play(ENVIRONMENT, allowed, code).value == 1.0


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import os.path, unittest.mock as m", "import mock, import unittest"),
        ("from sys import _getframe", "sys._getframe"),
        ("import sys; sys.modules", "sys.modules"),
        ("(lambda: 0).__globals__", "__globals__"),
        ("gc = model = type('Model', (), {'modules': 1}); gc.modules", ""),
    ],
)
def test_an_answer_that_names_what_its_tests_run_on_is_refused(line: str, name: str) -> None:
    reward = play(ENVIRONMENT, row(), RIGHT.replace("```python", f"```python\n{line}"))
    assert reward.details["failure"] == (name and f"suite: refused {name}")


def test_an_answer_without_an_end_is_stopped() -> None:
    quick = BigCodeBench({"min_time_limit": 1})
    for code in (
        RIGHT.replace("return 2 * n", "while True: pass"),
        RIGHT.replace("```python", "```python\nwhile True: pass"),
    ):
        assert play(quick, row(), code).details["reason"] == "timeout"


@pytest.mark.parametrize(
    "text", ["\0", "\ud800", "(" * 100_000, "a\n" * 15_000 + "(", "x = " + "-" * 50_000 + "1"]
)
def test_any_text_is_scored(text: str) -> None:
    reward = play(ENVIRONMENT, row(), f"```python\n{text}\n```")
    assert (reward.value, reward.details["reason"]) == (0.0, "malformed")


def test_a_text_that_ends_a_string_of_the_request_stays_text() -> None:
    assert (
        play(
            ENVIRONMENT, row(), '```python\ndef task_func(n):\n    "\\"\\\\\'é€"\n    return 2 * n\n```'
        ).value
        == 1.0
    )


def test_drawing_depends_on_the_seed_alone() -> None:
    assert draw_problem(random.Random("a")) == draw_problem(random.Random("a"))
