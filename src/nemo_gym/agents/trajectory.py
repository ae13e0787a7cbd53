"""The trajectory of one rollout while it runs, and the base class of agents that keep one."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Any, ClassVar, Final

from nemo_gym.agents.base import Agent
from nemo_gym.agents.turns import NotRestored, Turn, TurnFile, TurnFolder, TurnLog, rollout_name
from nemo_gym.environments.link import EnvironmentLink, RestorableLink
from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.transport.http import failure_before
from nemo_gym.wire import keys
from nemo_gym.wire.errors import ModelError, ModelTimeout
from nemo_gym.wire.items import Item
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.response import Response, Usage, add_usage
from nemo_gym.wire.rollout import Reward, Rollout, Timing, keep_partial
from nemo_gym.wire.task import Row

log: Final = logging.getLogger(__name__)


class Trajectory:
    """Holds the model's answers and the items that an agent adds between them.

    Items are sent back to the model unchanged. When the row has no tools, the model gets the environment's
    tools, and they become part of the row, so that the row holds everything that the model saw.
    """

    def __init__(
        self,
        row: Row,
        session: Session,
        model: Model,
        *,
        turn_timeout: float | None = None,
        turns: TurnLog | None = None,
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
        self._turns = turns
        self._answer_s = 0.0
        self._usage: Usage | None = None
        self._last = Response.of(self.items)

    def open_with(self, item: Item) -> None:
        """Add an item before the first answer, to the row too."""
        self.opening = [*self.opening, item]
        self.row = {**self.row, keys.PARAMS: {**self.params, "input": self.opening}}

    async def ask(self) -> Response:
        """Ask the model and add its answer to the trajectory.

        Raises:
            ModelError: the model failed, or its answer took longer than `turn_timeout`.
        """
        if self._turns is not None and (turn := self._turns.earlier_turn()) is not None:
            return self._take_earlier(turn)
        request: RequestParams = {**self.params, "input": self.opening + self.items}
        if self._turn_timeout is not None:
            await self._model.ready()
        began = monotonic()
        try:
            if self._turn_timeout is None:
                answer = await self._model.responses(request)
            else:
                async with asyncio.timeout(self._turn_timeout):
                    answer = await self._model.responses(request)
        except TimeoutError as error:
            raise self._no_answer(error) from None
        finally:
            self._answer_s = monotonic() - began
            self._count_call()
        return self._take(answer)

    async def environment_turn(self, act: Callable[[], Awaitable[Any]]) -> Any:
        """What the environment does with the last answer; the turn is complete then.

        `act` does it and returns the result as JSON. It is not called for a turn whose state is restored from
        a snapshot.

        Raises:
            NotRestored: the turn is one of an earlier process, and does not come to the same result.
        """
        if self._turns is None:
            return await act()
        return await self._turns.result(self._last, self._answer_s, act)

    def _take_earlier(self, turn: Turn) -> Response:
        self._answer_s = turn.model_s
        self.timing["resumed_turns"] = self.timing.get("resumed_turns", 0) + 1
        self._count_call()
        return self._take(Response(turn.answer))

    def _count_call(self) -> None:
        self.timing["model_s"] = self.timing.get("model_s", 0.0) + self._answer_s
        self.timing["model_calls"] = self.timing.get("model_calls", 0) + 1

    def _take(self, answer: Response) -> Response:
        self.items.extend(answer.output)
        self._usage = add_usage(self._usage, answer.usage)
        self._last = answer
        return answer

    def _no_answer(self, error: TimeoutError) -> ModelError:
        """The error for a turn that ran out of time. It has the type of the last attempt's failure, if an
        attempt failed before."""
        seconds = self._turn_timeout
        limit = "in time" if seconds is None else f"within the turn's {seconds:g} seconds"
        message = f"no answer {limit}"
        before = failure_before(error)
        if before is None:
            return ModelTimeout(message)
        message = f"{message}; the last attempt before: {before}"
        return type(before)(message, http_status=before.http_status, body=before.body)

    def response(self) -> Response:
        """The whole trajectory as one Response: the last answer, with all items and the sum of the usage."""
        return Response({**self._last.data, "output": self.items, "usage": self._usage})

    def rollout(self, reward: Reward, outcome: str) -> Rollout:
        """The scored rollout."""
        rollout = Rollout.scored(self.row, self.response(), reward, outcome=outcome, timing=self.timing)
        if self._session.cleanup_warning is not None:
            rollout.details = {**reward.details, "cleanup_warning": self._session.cleanup_warning}
        return rollout


class LoopAgent(Agent):
    """An agent that asks the model turn by turn.

    Args:
        turn_timeout: the most seconds of one model call with its retries; None leaves it to the model.
    """

    keeps_turns: ClassVar[bool] = False
    """Whether `play` gives each turn of the environment to `Trajectory.environment_turn` and does nothing
    else between two answers, so that a rollout can go on after its last turn. A subclass says it again."""

    def __init__(self, *, turn_timeout: float | None = None) -> None:
        self.turn_timeout = turn_timeout
        self.turns: TurnFolder | None = None
        """Where the turns of unfinished rollouts are kept; None keeps none."""

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        if self.turns is None or not isinstance(environment, RestorableLink) or not environment.restores:
            return await self._run(row, environment, model)
        file = self.turns.file(row)
        if earlier := await asyncio.to_thread(file.read):
            try:
                return await self._run(row, environment, model, file, earlier)
            except NotRestored as error:
                log.warning("%s starts again: %s", rollout_name(row), error)
        file.delete()
        return await self._run(row, environment, model, file)

    async def _run(
        self,
        row: Row,
        environment: EnvironmentLink,
        model: Model,
        file: TurnFile | None = None,
        earlier: list[Turn] | None = None,
    ) -> Rollout:
        async with environment.session(row) as session:
            turns = None
            if file is not None and isinstance(environment, RestorableLink):
                turns = TurnLog(file, environment, session, earlier or [])
            trajectory = Trajectory(
                row, session, model.for_session(session), turn_timeout=self.turn_timeout, turns=turns
            )
            try:
                reward, outcome = await self.play(trajectory, session, environment)
            except BaseException as error:
                keep_partial(error, row, trajectory.response(), session.columns, sent=trajectory.row)
                raise
        return trajectory.rollout(reward, outcome)

    @abstractmethod
    async def play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Reward, str]:
        """Let the model act and have the trajectory scored; returns the reward and the outcome."""


def outcome_of(response: Response) -> str:
    """`completed`, or why an incomplete response ended: `context_overflow` or the endpoint's own reason."""
    details: dict[str, str] = response.data.get("incomplete_details") or {}
    return details.get("detail") or details.get("reason") or "completed"
