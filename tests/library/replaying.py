"""Checks that hold for every curated environment with generated tasks, golden cases and known hacks."""

from __future__ import annotations

import json

import pytest

from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.task import Row, task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle

SPLITS = ("train", "validation", "test", "example")


def rows(environment: Environment, split: str = "test", n: int | None = 40) -> list[Row]:
    return [task_to_row(task) for task in environment.tasks(split, 0, n)]


def check_oracle_and_null(environment: Environment, n: int = 24, *, lowest: float = 0.0) -> None:
    """The oracle earns the highest reward on every task, an empty, evasive or copied answer the lowest."""
    link = LocalEnvironment(environment)
    for row in rows(environment, n=n):
        assert play_oracle(link, row).value == environment.reward_range[1], row
        for text in ("", "I don't know.", row["responses_create_params"]["input"][-1]["content"]):
            assert play(link, row, text).value == lowest, row


def check_golden(environment: Environment) -> None:
    link = LocalEnvironment(environment)
    cases = list(environment.golden())
    assert len(cases) >= 8
    for case in cases:
        assert play_golden(link, case).value == pytest.approx(expected_reward(link, case)), case.name


def check_hacks(environment: Environment) -> None:
    """No known hack pays, and the honest answers beside them do."""
    low, high = environment.reward_range
    link = LocalEnvironment(environment)
    hacks = recorded_hacks(environment)
    assert sum(hack["expected"] == "zero" for hack in hacks) >= 8
    assert any(hack["expected"] == "full" for hack in hacks)
    for hack in hacks:
        expected = {"zero": low, "full": high}.get(hack["expected"], hack["expected"])
        assert play(link, hack["task"], hack["output"]).value == pytest.approx(expected), hack["name"]


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
