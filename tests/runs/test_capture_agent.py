"""What a row says about the calls of models that the environment asks, when the agent told its own calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_gym.agents.base import Agent
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.capture.stores import FileCapture
from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.no_model import NoModel
from nemo_gym.runs.capture_agent import CapturedAgent
from nemo_gym.wire.model_call import ModelCall
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout
from nemo_gym.wire.task import Row

ROW: Row = {"responses_create_params": {"input": "x"}, "_ng_task_index": 0, "_ng_rollout_index": 0}


class Reporting(Agent):
    """Reports a capture of its own, while the environment's judge was captured to the file."""

    def __init__(self, store: FileCapture) -> None:
        self.store = store

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        await self.store.record(
            ModelCall(
                rollout_id="0-0",
                model_call_id="call_1",
                dialect="responses",
                asked_as="judge",
                started_at=1.0,
                completed_at=2.0,
                latency_ms=1.0,
                status_code=200,
                request={},
            )
        )
        details: Any = {"ng_model_call_capture": {"calls": ["own"]}, "ng_asked_models": {"judge": {}}}
        return Rollout.scored(row, Response.of([]), Reward(1.0, details=details))


async def test_the_judge_s_calls_join_those_that_the_agent_reports(tmp_path: Path) -> None:
    agent = CapturedAgent(Reporting(FileCapture(tmp_path)), CaptureSettings(calls=str(tmp_path)))
    rollout = await agent.run(ROW, LocalEnvironment(Environment()), NoModel())
    capture: Any = rollout.details["ng_model_call_capture"]
    assert capture["calls"] == ["own"]
    assert [(call["asked_as"], call["model_call_id"]) for call in capture["asked_calls"]] == [
        ("judge", "call_1")
    ]
