"""`RecordedModel`: a model whose calls are recorded without a model server."""

from __future__ import annotations

from typing import Any, cast

from nemo_gym.capture.call_record import CallRecord
from nemo_gym.capture.recorder import Recorder
from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.models.failure import model_failure
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class RecordedModel(WrappedModel):
    """A model during one rollout. Closing this object leaves the model open.

    Args:
        inner: the model that answers.
        rollout_id: the rollout that makes the calls.
        recorder: receives every call before its answer is returned.
        model_ref: the name of the model's instance; by default the model's own name.
        asked_as: the environment's name for the model; empty for the model that acts.
    """

    def __init__(
        self, inner: Model, rollout_id: str, recorder: Recorder, *, model_ref: str = "", asked_as: str = ""
    ) -> None:
        super().__init__(inner)
        self._rollout_id = rollout_id
        self._recorder = recorder
        self._model_ref = model_ref or inner.name
        self._asked_as = asked_as

    async def responses(self, params: RequestParams) -> Response:
        record = CallRecord(
            self._recorder, self._rollout_id, "responses", self._model_ref, asked_as=self._asked_as
        )
        record.request = cast("dict[str, Any]", params)
        try:
            response = await self.inner.responses(params)
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

    async def aclose(self) -> None:
        pass
