"""`CapturedAgent`: an agent whose model calls are captured; its rows refer to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from nemo_gym.agents.base import Agent
from nemo_gym.agents.model_access import ServedModel
from nemo_gym.capture.capture_records import asked_calls, capture_column
from nemo_gym.capture.finalise import Finaliser
from nemo_gym.capture.recorder import Recorder, Recorders
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.capture.stores import FileCapture
from nemo_gym.capture.tokens import TokenRecorder, TokenSource, await_call, clear_rollout
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.models.call_recording import RecordedModel
from nemo_gym.wire import keys
from nemo_gym.wire.model_call import rollout_id
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row, named_agent


class CapturedAgent(Agent):
    """Captures the calls that the agent makes in this process, and reads those that servers captured. The
    capture of every row begins empty.

    Raises:
        UsageError: a store can't be made.
    """

    def __init__(self, agent: Agent, settings: CaptureSettings) -> None:
        self.agent = agent
        self._settings = settings
        self._calls = FileCapture(Path(settings.calls)) if settings.calls else None
        tokens = settings.tokens
        self._sink = tokens.store() if tokens else None
        self._finaliser: Finaliser | None = None
        if tokens is not None and tokens.rebuild_response:
            self._finaliser = Finaliser(cast("TokenSource", self._sink), tokens.strategy)

    async def check(self) -> None:
        await self.agent.check()

    def check_row(self, row: Row) -> None:
        self.agent.check_row(row)

    async def aclose(self) -> None:
        await self.agent.aclose()
        if self._sink is not None:
            await await_call(self._sink.close)

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        id = rollout_id(row)
        row = {name: value for name, value in row.items() if name not in keys.CAPTURE_KEYS}
        sink = self._sink if self._settings.captures_tokens_of(named_agent(row)) else None
        recorders: list[Recorder] = []
        if self._calls is not None:
            await self._calls.clear(id)
            recorders.append(self._calls)
        if sink is not None:
            await clear_rollout(sink, id)
            recorders.append(TokenRecorder(sink))
        if recorders and not isinstance(model, ServedModel):
            model = RecordedModel(model, id, Recorders(recorders))
        rollout = await self.agent.run(row, environment, model)
        row_columns = {**rollout.row, **rollout.details}
        columns: dict[str, Any] = {}
        if self._calls is not None and keys.MODEL_CALL_CAPTURE not in row_columns:
            lines, incomplete = await self._calls.lines(id)
            columns[keys.MODEL_CALL_CAPTURE] = capture_column(id, lines, incomplete=incomplete)
        elif self._calls is not None and keys.ASKED_MODELS in row_columns:
            lines, _ = await self._calls.lines(id)
            columns[keys.MODEL_CALL_CAPTURE] = {**row_columns[keys.MODEL_CALL_CAPTURE], **asked_calls(lines)}
        if sink is not None and self._finaliser is not None and rollout.response is not None:
            rollout.response, more_columns = await self._finaliser.finish(
                row, id, rollout.response, row_columns
            )
            columns |= more_columns
        rollout.details = {**rollout.details, **columns}
        return rollout
