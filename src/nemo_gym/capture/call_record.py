"""The record of one model call while it is passed to a recorder."""

from __future__ import annotations

from time import monotonic, time
from typing import Any

from nemo_gym.capture.recorder import Recorder
from nemo_gym.wire.model_call import Dialect, ErrorCategory, ModelCall, error_category, new_call_id
from nemo_gym.wire.params import RequestParams


class CallRecord:
    """A model call that is under way. Without a recorder or a rollout id it is not recorded."""

    def __init__(
        self,
        recorder: Recorder | None,
        rollout_id: str | None,
        dialect: Dialect,
        model_ref: str,
        *,
        asked_as: str = "",
    ) -> None:
        self.request: dict[str, Any] = {}
        """The body of the request, once it is read."""
        self.params: RequestParams | None = None
        """The request as Responses parameters; None when the body has this form already."""
        self._recorder = recorder
        self._rollout_id = rollout_id
        self._dialect: Dialect = dialect
        self._model_ref = model_ref
        self._asked_as = asked_as
        self._started_at = time()
        self._started = monotonic()

    async def save_answer(self, response: dict[str, Any], answer: dict[str, Any], *, streamed: bool) -> None:
        """Record an answered call; `answer` is the Response before the dialect dropped its tokens."""
        await self._save(200, response, answer=answer, streamed=streamed)

    async def save_failure(
        self, status: int, response: object, category: ErrorCategory | None = None
    ) -> None:
        """Record a failed call; without a `category` the status decides it."""
        await self._save(status, response, category=category or error_category(status))

    async def mark_incomplete(self) -> None:
        """Note that the client went away before the answer came."""
        if self._recorder is not None and self._rollout_id is not None:
            await self._recorder.mark_incomplete(self._rollout_id)

    async def _save(
        self,
        status: int,
        response: object,
        *,
        answer: dict[str, Any] | None = None,
        category: ErrorCategory | None = None,
        streamed: bool = False,
    ) -> None:
        if self._recorder is None or self._rollout_id is None:
            return
        latency_ms = (monotonic() - self._started) * 1000
        call = ModelCall(
            rollout_id=self._rollout_id,
            model_call_id=new_call_id(),
            dialect=self._dialect,
            model_ref=self._model_ref,
            asked_as=self._asked_as,
            started_at=self._started_at,
            completed_at=time(),
            latency_ms=latency_ms,
            latency_ttft_ms=latency_ms if streamed else None,
            status_code=status,
            error_category=category,
            request=self.request,
            response=response,
            params=self.params,
            answer=answer,
        )
        await self._recorder.record(call)
