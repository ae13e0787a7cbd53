"""`CountedModel`: a model that an environment asks; it counts, times and records the calls."""

from __future__ import annotations

from time import monotonic

from nemo_gym.capture.recorder import Recorder
from nemo_gym.environments.resources import AskedModel
from nemo_gym.environments.session import CURRENT, AskedCalls, Session
from nemo_gym.models.base import Model
from nemo_gym.models.call_recording import RecordedModel
from nemo_gym.wire.errors import JudgeFailed
from nemo_gym.wire.exception_text import message_of
from nemo_gym.wire.model_call import find_rollout_id
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class CountedModel(AskedModel):
    """Notes each call and its answer in the session whose hook or tool made the call.

    Args:
        name: the environment's name for the model, such as `judge`.
        model: the model that answers.
        recorder: receives the calls that belong to a rollout, marked with the name.
        owned: whether closing this object closes the model.
    """

    def __init__(self, name: str, model: Model, *, recorder: Recorder | None = None, owned: bool) -> None:
        self._name = name
        self._model = model
        self._recorder = recorder
        self._owned = owned

    async def responses(self, params: RequestParams) -> Response:
        session = CURRENT.get()
        model, calls = self._model, _no_calls()
        if session is not None:
            model = self._for_session(session)
            calls = session.asked_models.setdefault(self._name, calls)
        began = monotonic()
        number = calls["calls"]
        calls["calls"] += 1
        calls["answers"].append("")
        try:
            answer = await model.responses(params)
        except Exception as error:
            calls["failed"] += 1
            status, body = getattr(error, "http_status", None), getattr(error, "body", None)
            message = f"{message_of(error)} (asked as {self._name!r})"
            raise JudgeFailed(message, http_status=status, body=body) from error
        finally:
            calls["seconds"] += monotonic() - began
        calls["answers"][number] = answer.final_text
        if tokens := answer.usage:
            calls["input_tokens"] += tokens["input_tokens"]
            calls["output_tokens"] += tokens["output_tokens"]
        return answer

    async def check(self) -> None:
        await self._model.check()

    async def aclose(self) -> None:
        if self._owned:
            await self._model.aclose()

    def _for_session(self, session: Session) -> Model:
        model = self._model.for_session(session)
        rollout = find_rollout_id(session.row) if self._recorder else None
        if self._recorder is None or rollout is None:
            return model
        return RecordedModel(model, rollout, self._recorder, asked_as=self._name)


def _no_calls() -> AskedCalls:
    return {"calls": 0, "failed": 0, "seconds": 0.0, "input_tokens": 0, "output_tokens": 0, "answers": []}
