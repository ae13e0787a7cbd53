"""Play episodes of step environments without a model, and the checks that hold for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from nemo_gym.environments.base import Step, StepEnvironment
from nemo_gym.environments.conformance.stand_in import answer_as, stand_ins
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.items import Item, assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row, task_to_row
from tests.library.playing import expected_reward
from tests.library.replaying import recorded_hacks

Answer = str | list[Item]


def episode(
    environment: StepEnvironment,
    row: Row,
    answers: Sequence[Answer] | None = None,
    models: Mapping[str, str | list[str]] | None = None,
) -> list[Step]:
    """The steps of an episode; without answers the oracle's."""
    return play_episode(environment, row, answers, models)[1]


def play_episode(
    environment: StepEnvironment,
    row: Row,
    answers: Sequence[Answer] | None = None,
    models: Mapping[str, str | list[str]] | None = None,
) -> tuple[list[str], list[Step]]:
    """The observations and the steps of an episode; without answers the oracle's."""
    return asyncio.run(_episode(environment, row, answers, models or {}))


def total(steps: list[Step]) -> float:
    return sum(step.reward for step in steps)


async def _episode(
    environment: StepEnvironment,
    row: Row,
    answers: Sequence[Answer] | None,
    models: Mapping[str, str | list[str]],
) -> tuple[list[str], list[Step]]:
    answer_as(models)
    link = LocalEnvironment(environment, resources=stand_ins(environment.asks))
    steps: list[Step] = []
    async with link.session(row) as session:
        observations = [(await link.reset(session)).text or ""]
        for number in range(link.max_steps if answers is None else len(answers)):
            answer = environment.oracle(session.task, session) if answers is None else answers[number]
            assert answer is not None
            items: list[Item] = [assistant(answer)] if isinstance(answer, str) else answer
            steps.append(await link.step(session, Response.of(items)))
            observations.append(steps[-1].observation or "")
            if steps[-1].terminated or steps[-1].truncated:
                break
    return observations, steps


def check_baselines(environment: StepEnvironment, n: int = 10) -> None:
    """The oracle earns the highest reward, and an answer without content the lowest."""
    low, high = environment.reward_range
    for task in environment.tasks("test", 0, n):
        row = task_to_row(task)
        steps = episode(environment, row)
        assert steps[-1].terminated
        assert total(steps) == pytest.approx(high), row
        for text in ("", "I don't know."):
            assert total(episode(environment, row, [text] * environment.max_steps)) == low, row


def check_lines(environment: StepEnvironment) -> None:
    """Golden cases and known hacks earn what their lines say; at least eight hacks earn the lowest reward."""
    hacks = check_recorded(environment)
    assert sum(hack["expected"] == "zero" for hack in hacks) >= 8
    assert any(hack["expected"] == "full" for hack in hacks)


def check_recorded(environment: StepEnvironment) -> list[Row]:
    """Golden cases and known hacks earn what their lines say; the hacks."""
    low, high = environment.reward_range
    cases = list(environment.golden())
    assert len(cases) >= 8
    for case in cases:
        earned = total(episode(environment, case.task, _steps(case.output), case.models))
        assert earned == pytest.approx(expected_reward(environment, case)), case.name
    hacks = recorded_hacks(environment)
    for hack in hacks:
        expected = {"zero": low, "full": high}.get(hack["expected"], hack["expected"])
        earned = total(episode(environment, hack["task"], _steps(hack["output"]), hack.get("models")))
        assert earned == pytest.approx(expected), hack["name"]
    return hacks


def _steps(output: str | list[Any]) -> list[Answer]:
    return [output] if isinstance(output, str) else [cast("list[Item]", [item]) for item in output]
