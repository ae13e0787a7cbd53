"""Play episodes of step environments without a model: the oracle's, or recorded ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from nemo_gym.environments.base import Step, StepEnvironment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.wire.items import Item, assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row
from tests.library.playing import expected_reward


def play_episode(
    environment: StepEnvironment, row: Row, answers: Sequence[Mapping[str, Any] | str] | None = None
) -> tuple[list[str], list[Step]]:
    """The observations and the steps of an episode; without answers it is the oracle's."""
    return asyncio.run(_play(LocalEnvironment(environment), row, answers))


def total(steps: list[Step]) -> float:
    return sum(step.reward for step in steps)


def check_step_cases(environment: StepEnvironment) -> None:
    """Golden cases and hacks earn what they should."""
    cases = list(environment.golden())
    assert len(cases) >= 8
    for case in cases:
        assert isinstance(case.output, list)
        _, steps = play_episode(environment, case.task, case.output)
        assert total(steps) == pytest.approx(expected_reward(environment, case)), case.name
    lines = (environment.folder() / "redteam.jsonl").read_text(encoding="utf-8").splitlines()
    hacks = [hack for hack in map(json.loads, lines) if "not_applicable" not in hack]
    low, high = environment.reward_range
    for hack in hacks:
        expected = {"zero": low, "full": high}.get(hack["expected"], hack["expected"])
        _, steps = play_episode(environment, hack["task"], hack["output"])
        assert total(steps) == pytest.approx(expected), hack["name"]
    assert len(hacks) >= 9


async def _play(
    link: LocalEnvironment, row: Row, answers: Sequence[Mapping[str, Any] | str] | None
) -> tuple[list[str], list[Step]]:
    async with link.session(row) as session:
        observations = [(await link.reset(session)).text or ""]
        steps: list[Step] = []
        for number in range(link.max_steps):
            if answers is None:
                action = link.environment.oracle(session.task, session)
                assert isinstance(action, list), "the oracle has nothing to say"
            elif number < len(answers):
                answer = answers[number]
                action = [assistant(answer) if isinstance(answer, str) else cast("Item", answer)]
            else:
                break
            steps.append(await link.step(session, Response.of(action)))
            observations.append(steps[-1].observation or "")
            if steps[-1].terminated or steps[-1].truncated:
                break
        return observations, steps
