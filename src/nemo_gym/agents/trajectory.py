"""The trajectory of one rollout while it runs: its opening, its items so far, its cost."""

from __future__ import annotations

import asyncio
from time import monotonic, time

from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.transport.http import failure_before
from nemo_gym.wire import keys
from nemo_gym.wire.errors import ModelError, ModelTimeout
from nemo_gym.wire.items import Item
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response, Usage, add_usage
from nemo_gym.wire.rollout import Reward, Rollout, Timing
from nemo_gym.wire.task import Row


class Trajectory:
    """Holds the model's answers and the items that an agent adds between them.

    Items are sent back to the model exactly as they came. The environment's tools are offered when the row
    names none, and are part of the row that is written: it holds all that the model saw.
    """

    def __init__(
        self, row: Row, session: Session, model: Model, *, turn_timeout: float | None = None
    ) -> None:
        params: RequestParams = row[keys.PARAMS]
        if session.tools and "tools" not in params:
            params = {**params, "tools": session.tools}
            row = {**row, keys.PARAMS: params}
        self.row = row
        self.params = params
        self.opening = input_items(params)
        """The conversation before the model's first answer."""
        self.items: list[Item] = []
        """All items after that conversation."""
        self.timing: Timing = {"started_at": time(), "model_s": 0.0, "model_calls": 0}
        self._session = session
        self._model = model
        self._turn_timeout = turn_timeout
        self._usage: Usage | None = None
        self._last = Response.of(self.items)

    def open_with(self, item: Item) -> None:
        """Add an item that comes before the first answer, in the row as well."""
        self.opening = [*self.opening, item]
        self.row = {**self.row, keys.PARAMS: {**self.params, "input": self.opening}}

    async def ask(self) -> Response:
        """The model's next answer, already part of the trajectory.

        Raises:
            ModelError: the model failed, or took longer than the turn's time.
        """
        request: RequestParams = {**self.params, "input": self.opening + self.items}
        began = monotonic()
        try:
            if self._turn_timeout is None:
                answer = await self._model.responses(request)
            else:
                async with asyncio.timeout(self._turn_timeout):
                    answer = await self._model.responses(request)
        except TimeoutError as late:
            raise self._no_answer(late) from None
        finally:
            self.timing["model_s"] = self.timing.get("model_s", 0.0) + monotonic() - began
            self.timing["model_calls"] = self.timing.get("model_calls", 0) + 1
        self.items.extend(answer.output)
        self._usage = add_usage(self._usage, answer.usage)
        self._last = answer
        return answer

    def _no_answer(self, late: TimeoutError) -> ModelError:
        """The error for a turn that ran out of time. If an attempt failed before, the error has that
        failure's type."""
        seconds = self._turn_timeout
        message = (
            "no answer in time" if seconds is None else f"no answer within the turn's {seconds:g} seconds"
        )
        before = failure_before(late)
        if before is None:
            return ModelTimeout(message)
        message = f"{message}; the last attempt before: {before}"
        return type(before)(message, http_status=before.http_status, body=before.body)

    def response(self) -> Response:
        """The whole trajectory as one Response: the last answer's, with all items and all usage."""
        return Response({**self._last.data, "output": self.items, "usage": self._usage})

    def rollout(self, response: Response, reward: Reward, outcome: str) -> Rollout:
        """The scored rollout."""
        rollout = Rollout.scored(self.row, response, reward, outcome=outcome, timing=self.timing)
        if self._session.cleanup_warning is not None:
            rollout.details = {**reward.details, "cleanup_warning": self._session.cleanup_warning}
        return rollout


def outcome_of(response: Response) -> str:
    """Why an incomplete response stopped: context_overflow, or the endpoint's own reason."""
    details: dict[str, str] = response.data.get("incomplete_details") or {}
    return details.get("detail") or details.get("reason") or "completed"
