"""Checks that hold for every curated environment with generated tasks, golden cases and known hacks."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.task import Row, task_to_row
from tests.library.playing import expected_reward, oracle_reward, reward_of, run_and_close

SPLITS = ("train", "validation", "test", "example")


def rows(environment: Environment, split: str = "test", n: int | None = 40) -> list[Row]:
    return [task_to_row(task) for task in environment.tasks(split, 0, n)]


def check_oracle_and_null(environment: Environment, n: int = 24, *, lowest: float = 0.0) -> None:
    """The oracle earns the highest reward on every task, an empty, evasive or copied answer the lowest."""

    async def play(link: LocalEnvironment) -> None:
        for row in rows(environment, n=n):
            assert (await oracle_reward(link, row)).value == environment.reward_range[1], row
            for text in ("", "I don't know.", row["responses_create_params"]["input"][-1]["content"]):
                assert (await reward_of(link, row, text)).value == lowest, row

    link = LocalEnvironment(environment)
    run_and_close(link, play(link))


def check_golden(environment: Environment) -> None:
    """Every known case earns what it says."""
    cases = list(environment.golden())
    assert len(cases) >= 8

    async def play(link: LocalEnvironment) -> None:
        for case in cases:
            reward = await reward_of(link, case.task, cast("Any", case.output))
            assert reward.value == pytest.approx(expected_reward(environment, case)), case.name

    link = LocalEnvironment(environment)
    run_and_close(link, play(link))


def check_hacks(environment: Environment) -> None:
    """No known hack pays, and the honest answers beside them do."""
    low, high = environment.reward_range
    hacks = recorded_hacks(environment)
    assert sum(hack["expected"] == "zero" for hack in hacks) >= 8
    assert any(hack["expected"] == "full" for hack in hacks)

    async def play(link: LocalEnvironment) -> None:
        for hack in hacks:
            expected = {"zero": low, "full": high}.get(hack["expected"], hack["expected"])
            reward = await reward_of(link, hack["task"], hack["output"])
            assert reward.value == pytest.approx(expected), hack["name"]

    link = LocalEnvironment(environment)
    run_and_close(link, play(link))


def recorded_hacks(environment: Environment) -> list[Row]:
    """The environment's own hacks, without its exemptions."""
    lines = (environment.folder() / "redteam.jsonl").read_text(encoding="utf-8").splitlines()
    return [hack for hack in map(json.loads, lines) if "not_applicable" not in hack]


def check_splits(environment: Environment) -> None:
    """No task is in two splits or comes twice, and there are a thousand."""
    prompts = [
        prompt(row) for split in SPLITS for row in rows(environment, split, 940 if split == "train" else 20)
    ]
    assert len(prompts) == len(set(prompts)) == 1000


def prompt(row: Row) -> str:
    return json.dumps(row["responses_create_params"]["input"])
