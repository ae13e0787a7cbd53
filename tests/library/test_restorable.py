"""Restorable environments: a rollout that is cut off at any turn goes on as if it was not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.agents.trajectory import LoopAgent
from nemo_gym.agents.turns import TurnFolder
from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment, restores
from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.models.baselines import OracleModel
from nemo_gym.runs.plan import PlanOptions, expand, task_rows
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Rollout

NAMES = (
    "blackjack",
    "device_settings",
    "example_session_state_mgmt",
    "long_horizon",
    "sokoban",
    "tetris",
    "text_adventure",
    "web_shop",
    "workplace_assistant",
)


class Recorded(WrappedModel):
    """Keeps the answers of a model."""

    def __init__(self, inner: Model, answers: list[Response]) -> None:
        super().__init__(inner)
        self.answers = answers

    async def responses(self, params: RequestParams) -> Response:
        self.answers.append(await self.inner.responses(params))
        return self.answers[-1]


class Played(Model):
    """Gives these answers in turn; one call fails."""

    def __init__(self, answers: Sequence[Response], fails: int) -> None:
        self.answers = iter(answers)
        self.calls_left = fails

    async def responses(self, params: RequestParams) -> Response:
        self.calls_left -= 1
        if self.calls_left == -1:
            raise ModelError("cut off")
        return next(self.answers)


def what_counts(rollout: Rollout) -> Any:
    assert rollout.response is not None
    return rollout.reward, rollout.outcome, rollout.details, rollout.response.output


@pytest.mark.parametrize("name", NAMES)
async def test_a_rollout_that_is_cut_off_goes_on_to_the_same_end(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment: Environment = find_environment(name)()
    assert restores(environment) == "replay"
    link = LocalEnvironment(environment, seed=4)
    tasks = list(islice(task_rows(environment, None, split="example", seed=4, limit=3), 3))
    rows = [row for row, _ in expand(((task, 1) for task in tasks), PlanOptions())]

    def agent() -> LoopAgent:
        return StepLoop() if link.steps else ToolLoop()

    cuts = 0
    for row in rows:
        answers: list[Response] = []
        whole = await agent().run(row, link, Recorded(OracleModel(link), answers))
        for cut in range(1, len(answers), max(1, len(answers) // 6)):
            keeping = agent()
            keeping.turns = TurnFolder(tmp_path)
            model = Played(answers, cut)
            with pytest.raises(ModelError, match="cut off"):
                await keeping.run(row, link, model)
            with caplog.at_level(logging.WARNING):
                rollout = await keeping.run(row, link, model)
            cuts += 1
            assert what_counts(rollout) == what_counts(whole)
            assert rollout.timing["resumed_turns"] == cut
            keeping.turns.clear()
    await link.aclose()
    assert cuts
    assert caplog.text == ""
