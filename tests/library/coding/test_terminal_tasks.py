"""The shell: its cases, hacks, oracle, families and bad rows."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.coding.terminal import environment as terminal
from nemo_gym.library.coding.terminal.environment import Terminal, key
from nemo_gym.library.coding.terminal.families import FAMILIES, Job
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import task_to_row
from tests.library.playing import play, play_oracle
from tests.library.replaying import check_golden, check_hacks, rows


def test_golden_cases_earn_what_they_say() -> None:
    check_golden(Terminal())


def test_hacks_do_not_pay_and_honest_commands_do() -> None:
    check_hacks(Terminal())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_the_command_of_a_family_earns_all_and_nothing_done_earns_nothing(
    family: Callable[[random.Random, int], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(rng: random.Random, level: int) -> Job:
        return family(rng, 7)

    monkeypatch.setattr(terminal, "draw_job", draw)
    row = task_to_row(Terminal().draw(random.Random(5)))
    assert play_oracle(Terminal(), row).value == 1.0
    assert play(Terminal(), row, "It is done.").value == 0.0


@pytest.mark.parametrize("level", [0, 4])
def test_tasks_differ_and_splits_are_disjoint(level: int) -> None:
    environment = Terminal({"level": level})
    counts = {"train": 940, "validation": 20, "test": 20, "example": 20}
    tasks = [task for split, n in counts.items() for task in environment.tasks(split, 0, n)]
    assert len({key(task) for task in tasks}) == len(tasks) == 1000


async def outputs(environment: Terminal, *commands: str) -> list[str]:
    link = LocalEnvironment(environment)
    try:
        async with link.session(rows(environment, n=1)[0]) as session:
            calls = [
                function_call("run_command", json.dumps({"command": one}), call_id="c") for one in commands
            ]
            return [await link.call(session, call) for call in calls]
    finally:
        await link.aclose()


def test_a_command_returns_its_output_and_its_exit_code() -> None:
    commands = ["echo a; echo b >&2; exit 3", "sleep 60", "seq 99999", "\0", "echo still"]
    first, late, long, nul, still = asyncio.run(outputs(Terminal({"seconds": 2}), *commands))
    assert json.loads(first) == {"stdout": "a\n", "stderr": "b\n", "exit_code": 3}
    assert "did not end within 2 seconds" in late
    assert len(long) < 20_000
    assert "no line of shell" in nul
    assert json.loads(still)["stdout"] == "still\n"


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../x": ""}},
        {"files": {"/x": ""}},
        {"files": {"a//b": ""}},
        {"files": {"a": "x" * (5 << 20)}},
        {"files": {"a": "x"}, "expected_files": {"a": "x"}, "executable": [], "expected_archives": {}},
    ],
    ids=["above", "root", "double", "large", "nothing"],
)
def test_a_bad_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TaskUnfit):
        play(Terminal(), {**rows(Terminal(), n=1)[0], **change}, "x")
