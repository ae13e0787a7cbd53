"""`gym env init` writes an environment that works at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_gym.environments.base import Environment
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.discovery import environment_info, find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row
from nemo_gym.workloads.scaffold.environment import write_scaffold
from tests.library.playing import play


def test_the_written_environment_is_found_by_its_name_and_keeps_every_promise(tmp_path: Path) -> None:
    written = write_scaffold("my_demo", tmp_path)
    kind = find_environment("my_demo", roots=[tmp_path])
    report = asyncio.run(check_environment(kind))
    assert [result for result in report.results if not result.passed] == []
    assert (kind.name(), environment_info(kind).tools) == ("my_demo", ("add",))
    assert [path.relative_to(tmp_path / "my_demo").as_posix() for path in written] == [
        "environment.py",
        "golden.jsonl",
        "README.md",
        "tests/test_my_demo.py",
    ]
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize("place", ["parent", "folder"])
def test_its_own_tests_pass_from_its_folder_and_from_the_parent(tmp_path: Path, place: str) -> None:
    write_scaffold("demo", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path if place == "parent" else tmp_path / "demo",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "fixed"),
    [("My-Env", "my_env"), ("2048", "env_2048"), ("class", "class_env"), ("_x", "x"), ("a/../b", "a_b")],
)
def test_a_name_that_is_no_identifier_is_refused_with_one_that_is(
    tmp_path: Path, name: str, fixed: str
) -> None:
    with pytest.raises(UsageError, match=f"'{fixed}' would do"):
        write_scaffold(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_a_letter_is_refused_plainly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"use letters, digits and _$"):
        write_scaffold("??", tmp_path)


@pytest.mark.parametrize("taken", ["demo", "demo.py"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(UsageError, match=f"{taken} is there already"):
        write_scaffold("demo", tmp_path)
    assert (tmp_path / taken).read_text() == "mine"


def test_the_written_step_environment_keeps_every_promise(tmp_path: Path) -> None:
    write_scaffold("my_game", tmp_path, steps=True)
    kind = find_environment("my_game", roots=[tmp_path])
    report = asyncio.run(check_environment(kind))
    assert [result for result in report.results if not result.passed] == []
    assert environment_info(kind).kind == "steps"


@pytest.mark.parametrize("steps", [False, True])
def test_the_written_tasks_are_different_ones(tmp_path: Path, steps: bool) -> None:
    tasks = list(_written(tmp_path, steps=steps)().tasks("train", 0, 200))
    assert len({str(task) for task in tasks}) == len(tasks) == (7 if steps else 200)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        *(
            (text, 1.0)
            for text in ["5", "5.", "The sum of 2 and 3 is 5.", "2 + 3 = 5", "**5**", r"\boxed{5}", "$5$"]
        ),
        *(
            (text, 0.0)
            for text in ["not 5", "It isn't 5.", "anything but 5", "5? No.", "It is wrong that 2 + 3 = 5."]
        ),
        *(
            (text, 0.0)
            for text in ["2 3 4 5", "1, 2, 3, 4, 5", "5 or 6", "4.\n5.", "2 and 3 and 5", "6, no, 5"]
        ),
        *(
            (text, 0.0)
            for text in ["-5", "5.5", ".5", "1/5", "5%", "5,000", "15", "5e3", "5^2", "2 + 3", "", "6"]
        ),
    ],
)
def test_the_written_verifier_pays_one_claim_of_the_sum(tmp_path: Path, text: str, reward: float) -> None:
    kind = _written(tmp_path, steps=False)
    row = {"responses_create_params": {"input": "What is 2 + 3?"}, "expected": "5"}
    assert play(kind(), row, text).value == reward


@pytest.mark.parametrize(
    ("texts", "rewards"),
    [
        (["5"], [1.0]),
        (["1", "My guess is 5."], [0.0, 1.0]),
        (["I guess 4", "**5**"], [0.0, 1.0]),
        (["not 5", "It isn't 5.", "5 is wrong"], [0.0, 0.0, 0.0]),
        (["4 5", "4, 5, 6", "5 or 6"], [0.0, 0.0, 0.0]),
        (["-5", "5.5", "5/1"], [0.0, 0.0, 0.0]),
    ],
)
def test_the_written_game_takes_one_guess_a_turn(
    tmp_path: Path, texts: list[str], rewards: list[float]
) -> None:
    kind = _written(tmp_path, steps=True)
    row = {"responses_create_params": {"input": "Guess."}, "number": 5}
    assert asyncio.run(_play_turns(kind(), row, texts)) == rewards


def _written(folder: Path, *, steps: bool) -> type[Environment]:
    write_scaffold("mine", folder, steps=steps)
    return find_environment("mine", roots=[folder])


async def _play_turns(environment: Environment, row: Row, texts: list[str]) -> list[float]:
    link = LocalEnvironment(environment)
    async with link.session(row) as session:
        await link.reset(session)
        return [(await link.step(session, Response.of([assistant(text)]))).reward for text in texts]
