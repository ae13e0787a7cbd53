"""Every row of the benchmarks that come from packages or a generator: right answers pay, empty ones don't.

Run by `make test-benchmarks`. The other benchmarks come from a hub, and their tests have five rows of each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.tau2.environment import STOP
from nemo_gym.wire.task import Row
from tests.library.benchmarks.preparing import BENCHMARKS, prepare, rows_of
from tests.library.episodes import episode, total
from tests.library.playing import play, play_oracle

ROWS = {"arc_agi_1": 419, "bfcl_v3": 3475, "ifbench": 294, "ruler": 1300, "tau2": 164}
NO_ANSWERS = {"ifbench": "the package has prompts and checkers, but no text that follows a prompt"}
"""Benchmarks without right answers, and why."""
CONTRADICTIONS = {
    "live_simple_106-63-0": "needs the argument auto_loan_payment_start, for which no value is right",
    "live_simple_112-68-0": "needs the argument acc_routing_start, for which no value is right",
    "live_multiple_507-149-4": "needs the argument origin_airport, which the answer leaves out",
    "live_multiple_862-181-3": "the answer has journey_start_time, which the function does not take",
    "live_multiple_964-207-0": "needs the argument statement, in whose place the answer has question",
}
"""Rows of bfcl_v3 whose answer does not fit their own function, so that no call is right."""
CUSTOMER = {"user": ["I need help.", STOP]}


class Figures(NamedTuple):
    """What the answers to the rows of a benchmark earn on average, as a part of the highest reward."""

    rows: int
    right: float | None
    """None for a benchmark without right answers."""
    empty: float
    seconds: float


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, Figures]]:
    figures: dict[str, Figures] = {}
    yield figures
    print(f"\n\n{'benchmark':<12} {'rows':>6} {'right answers':>14} {'empty answers':>14} {'seconds':>8}")
    for name, (rows, right, empty, seconds) in figures.items():
        share = "none" if right is None else f"{right:.2%}"
        print(f"{name:<12} {rows:>6} {share:>14} {empty:>14.2%} {seconds:>8.0f}")
    for name, reason in {**NO_ANSWERS, **CONTRADICTIONS}.items():
        print(f"{name}: {reason}")


@pytest.mark.parametrize("name", sorted(ROWS))
def test_right_answers_earn_everything_and_empty_ones_nothing(
    name: str, table: dict[str, Figures], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    environment, rows = rows_of(BENCHMARKS[name], prepare(BENCHMARKS[name]))
    lowest, highest = environment.reward_range

    empty = [earned(environment, row, "") for row in rows]
    right = [] if name in NO_ANSWERS else [earned(environment, row, None) for row in rows]

    assert len(rows) == ROWS[name]
    assert (lowest, highest) == (0.0, 1.0)
    names = [str(row.get("task_id")) for row in rows]
    fit = [reward for task, reward in zip(names, right, strict=False) if task not in CONTRADICTIONS]
    unpaid = [task for task, reward in zip(names, right, strict=False) if reward != highest]
    table[name] = Figures(
        len(rows), sum(fit) / len(fit) if fit else None, sum(empty) / len(rows), time.monotonic() - started
    )
    assert sorted(unpaid) == (sorted(CONTRADICTIONS) if name == "bfcl_v3" else [])
    assert sum(empty) / len(rows) <= 0.02


def earned(environment: Environment, row: Row, answer: str | None) -> float:
    """The reward of an answer, or of the environment's own right one."""
    if isinstance(environment, StepEnvironment):
        return total(episode(environment, row, None if answer is None else [answer], CUSTOMER))
    link = LocalEnvironment(environment)
    return (play_oracle(link, row) if answer is None else play(link, row, answer)).value
