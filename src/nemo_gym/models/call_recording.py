"""`Recorded`: a model whose calls are recorded without a model server."""

from __future__ import annotations

from typing import Any, cast

from nemo_gym.capture.call_record import CallRecord
from nemo_gym.capture.recorder import Recorder
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.models.failure import model_failure
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class Recorded(Model):
    """The model as it is asked during one rollout; the caller's own to close.

    Args:
        model: who answers.
        rollout_id: whose calls they are.
        recorder: receives every call before its answer is given.
        model_ref: the name of the model's instance; empty takes the model's own.
        asked_as: the name under which the environment asks it; empty for the model that acts.
    """

    def __init__(
        self, model: Model, rollout_id: str, recorder: Recorder, *, model_ref: str = "", asked_as: str = ""
    ) -> None:
        self.name = model.name
        self._model = model
        self._rollout_id = rollout_id
        self._recorder = recorder
        self._model_ref = model_ref or model.name
        self._asked_as = asked_as

    @property
    def pushbacks(self) -> int:
        return self._model.pushbacks

    async def responses(self, params: RequestParams) -> Response:
        record = CallRecord(
            self._recorder, self._rollout_id, "responses", self._model_ref, asked_as=self._asked_as
        )
        record.request = cast("dict[str, Any]", params)
        try:
            response = await self._model.responses(params)
        except GymError as error:
            failure = model_failure(error)
            await record.save_failure(failure.status, failure.message, failure.category)
            raise
        except Exception as error:
            await record.save_failure(500, repr(error), "exception")
            raise
        except BaseException:
            await record.mark_incomplete()
            raise
        await record.save_answer(response.data, response.data, streamed=False)
        return response

    def for_session(self, session: Session) -> Model:
        return self._with(self._model.for_session(session))

    def for_session_id(self, session_id: str) -> Model:
        return self._with(self._model.for_session_id(session_id))

    async def check(self) -> None:
        await self._model.check()

    def _with(self, model: Model) -> Model:
        return Recorded(
            model, self._rollout_id, self._recorder, model_ref=self._model_ref, asked_as=self._asked_as
        )
