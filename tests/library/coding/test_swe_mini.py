"""Small repositories with bugs: cases, hacks, oracle, the effect of every bug, tools and bad rows."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from types import ModuleType
from typing import Any

import pytest

from nemo_gym.environments.code_script import encode
from nemo_gym.environments.code_tests import CodeRun
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Kind, Module
from nemo_gym.library.coding.swe_mini.drawing import KINDS, LEVELS, Part, apart, break_text, draw_draft
from nemo_gym.library.coding.swe_mini.environment import SweMini, key
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import task_to_row
from tests.library.playing import play, play_oracle
from tests.library.replaying import check_golden, check_hacks, rows

MODULES = [(kind, module) for kind in KINDS for module in kind.modules]


def test_golden_cases_earn_what_they_say() -> None:
    check_golden(SweMini())


def test_hacks_do_not_pay_and_honest_repairs_do() -> None:
    check_hacks(SweMini())


@pytest.mark.parametrize("level", [0, 4])
def test_the_oracle_earns_all_and_a_comment_alone_earns_nothing(level: int) -> None:
    environment = SweMini({"level": level})
    (row,) = rows(environment, n=1)
    assert play_oracle(environment, row).value == 1.0
    path = next(iter(row["solution"]))
    call = function_call("bash", json.dumps({"command": f"echo '# x' >> {path}"}), call_id="c")
    reward = play(environment, row, [call])
    assert reward.value == 0.0
    assert 0.2 < reward.details["tests_passed_share"] < 1.0  # type: ignore[operator]
    assert any(name.startswith("issue_") for name in reward.details["problems"])  # type: ignore[union-attr]


def test_the_share_of_the_tests_earns_its_part_of_the_reward_if_a_setting_says_so() -> None:
    environment = SweMini({"passed_share_weight": 0.5})
    (row,) = rows(environment, n=1)
    call = function_call("bash", json.dumps({"command": "echo x > note.txt"}), call_id="c")
    reward = play(environment, row, [call])
    assert reward.value == pytest.approx(0.5 * reward.details["tests_passed_share"])  # type: ignore[operator]
    assert play(environment, row, "It is done.").value == 0.0
    assert play_oracle(environment, row).value == 1.0


@pytest.mark.parametrize(("kind", "module"), MODULES, ids=lambda each: each.name)
def test_every_bug_makes_its_tests_fail_and_the_code_without_it_passes_all(
    kind: Kind, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(2):
        rng = random.Random(seed)
        names = {old: rng.choice((old, *new)) for old, new in kind.names.items()}
        part = Part(kind, kind.packages[seed], names, kind.modules)
        files = {f"{part.package}/__init__.py": ""}
        files |= {part.path(each): part.rename(each.text) for each in kind.modules}
        load(files, monkeypatch)
        tests = [part.test(rng, draw, "x") for draw in module.draws]
        tests += [part.test(rng, bug.witness, "x") for bug in module.bugs]
        assert all(passes(test) for test in tests)
        for bug, test in zip(module.bugs, tests[-len(module.bugs) :], strict=True):
            load({**files, part.path(module): part.rename(break_text(module.text, bug))}, monkeypatch)
            assert not passes(test), (bug.symptom, test)


def load(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the modules of a package in place."""
    for path, text in files.items():
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        module = ModuleType(name)
        module.__package__, module.__path__ = name.partition(".")[0], []
        monkeypatch.setitem(sys.modules, name, module)
        exec(text, module.__dict__)


def passes(test: CallTest) -> bool:
    """Whether a test passes in this process."""
    names: dict[str, Any] = {}
    try:
        exec(test.setup, names)
    except (ValueError, LookupError):
        return False
    try:
        outcome: tuple[str, Any] = "value", eval(test.call, names)
    except Exception as error:
        outcome = "raises", type(error).__name__
    return test.problem(CodeRun("ok", json.dumps(encode(outcome)))) is None


@pytest.mark.parametrize("level", range(5))
def test_tasks_differ_have_the_size_of_their_level_and_splits_are_disjoint(level: int) -> None:
    environment = SweMini({"level": level})
    counts = {"train": 200, "validation": 10, "test": 10, "example": 10} if level in (0, 4) else {"train": 20}
    tasks = [task for split, n in counts.items() for task in environment.tasks(split, 0, n)]
    assert len({key(task) for task in tasks}) == len(tasks) == sum(counts.values())
    for task in tasks[:20]:
        modules = [name for name in task.files if "/" in name and "__init__" not in name]
        assert len(modules) == LEVELS[level].modules
        assert len(task.solution) == LEVELS[level].bugs


def test_bugs_of_one_task_are_in_modules_that_do_not_need_each_other() -> None:
    for seed in range(30):
        draft = draw_draft(random.Random(seed), 4)
        assert len(draft.solution) == 2
    kind = KINDS[0]
    part = Part(kind, kind.name, {}, kind.modules)
    first, second = kind.modules[:2]
    assert not apart((part, first, first.bugs[0]), (part, second, second.bugs[0]))
    assert not apart((part, first, first.bugs[0]), (part, first, first.bugs[1]))


def test_the_issue_names_the_place_and_shows_an_example_on_lower_levels_alone() -> None:
    requests = [
        json.dumps(rows(SweMini({"level": level}), n=1)[0]["responses_create_params"]) for level in range(5)
    ]
    assert ["The mistake is in" in request for request in requests] == [True, True, True, False, False]
    assert ["For example" in request for request in requests] == [True, True, True, False, False]


async def outputs(*calls: tuple[str, dict[str, str]]) -> list[str]:
    link = LocalEnvironment(SweMini({"seconds": 2}))
    try:
        async with link.session(rows(SweMini(), n=1)[0]) as session:
            items = [function_call(name, json.dumps(words), call_id="c") for name, words in calls]
            return [await link.call(session, item) for item in items]
    finally:
        await link.aclose()


def test_the_tools_read_and_write_the_files_of_the_sandbox() -> None:
    texts = asyncio.run(
        outputs(
            ("str_replace", {"path": "new/a.txt", "old": "", "new": "é one one"}),
            ("view", {"path": "new/a.txt"}),
            ("str_replace", {"path": "new/a.txt", "old": "one", "new": "two"}),
            ("str_replace", {"path": "new/a.txt", "old": "é one", "new": "two"}),
            ("bash", {"command": "cat new/a.txt; exit 3"}),
            ("bash", {"command": "sleep 60"}),
            ("bash", {"command": "a\0"}),
            ("bash", {"command": "seq 99999"}),
            ("view", {"path": "nothing.py"}),
            ("view", {"path": "/dev/zero"}),
            ("view", {"path": "'; echo x; '"}),
            ("str_replace", {"path": "../x", "old": "", "new": "x"}),
            ("str_replace", {"path": "new", "old": "", "new": "x"}),
            ("str_replace", {"path": "x", "old": "", "new": "x" * (1 << 19)}),
        )
    )
    assert texts[1] == "é one one"
    assert "occurs 2 times" in texts[2]
    assert json.loads(texts[4]) == {"stdout": "two one", "stderr": "", "exit_code": 3}
    assert "did not end within 2 seconds" in texts[5]
    assert "no line of shell" in texts[6]
    assert len(texts[7]) < 20_000
    assert "can't be read" in texts[8]
    assert "larger than" in texts[9]
    assert "can't be read" in texts[10]
    assert "not a path" in texts[11]
    assert "can't be written" in texts[12]
    assert "would be larger" in texts[13]


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_tests": []},
        {"hidden_tests": [{"name": "x", "call": "f(", "expected": "1"}]},
        {"hidden_tests": [{"name": "x", "call": "1"}]},
        {"files": {}},
        {"files": {"../x": ""}},
    ],
    ids=["no tests", "no call", "no result", "no files", "outside"],
)
def test_a_bad_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TaskUnfit):
        play(SweMini(), {**task_to_row(SweMini().draw(random.Random(1))), **change}, "x")
