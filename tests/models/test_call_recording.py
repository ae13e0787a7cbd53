"""A recorded model: every call once, the failed ones too, and whoever has the answer finds it recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemo_gym.capture.stores import MemoryCapture
from nemo_gym.models.base import Model
from nemo_gym.models.call_recording import RecordedModel
from nemo_gym.wire.errors import ModelTimeout
from nemo_gym.wire.items import assistant
from nemo_gym.wire.model_call import Captured
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Answers(Model):
    name = "m"

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.sessions: list[str] = []

    async def responses(self, params: RequestParams) -> Response:
        if isinstance(self.outcome, asyncio.Event):
            self.outcome.set()
            await asyncio.sleep(3600)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def for_session_id(self, session_id: str) -> Model:
        self.sessions.append(session_id)
        return self


async def test_an_answer_is_recorded_with_what_was_asked() -> None:
    store, answer = MemoryCapture(), Response.of([assistant("hi")], id="r")
    inner = Answers(answer)
    model = RecordedModel(inner, "0-0", store, model_ref="policy").for_session_id("s")
    assert await model.responses({"input": "hello"}) is answer
    (call,) = (await store.read("0-0")).calls
    assert (call.request, call.output, call.model_ref) == ({"input": "hello"}, answer.output, "policy")
    assert (call.status_code, call.dialect, inner.sessions) == (200, "responses", ["s"])


@pytest.mark.parametrize(
    ("error", "status", "category"),
    [(ModelTimeout("late"), 504, "timeout"), (ValueError("odd"), 500, "exception")],
)
async def test_a_failed_call_is_recorded_and_fails(error: Exception, status: int, category: str) -> None:
    store = MemoryCapture()
    with pytest.raises(type(error)):
        await RecordedModel(Answers(error), "0-0", store).responses({"input": "hello"})
    (call,) = (await store.read("0-0")).calls
    assert (call.status_code, call.error_category, call.answer) == (status, category, None)


async def test_a_call_that_is_cancelled_is_known_to_be_missing() -> None:
    store, asked = MemoryCapture(), asyncio.Event()
    task = asyncio.create_task(RecordedModel(Answers(asked), "0-0", store).responses({"input": "hello"}))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.read("0-0") == Captured([], incomplete=True)
