"""`EvaluatorTasks`: the tasks of an environment as NeMo Evaluator reads them, by number, and their scores.

Evaluator sends back an answer as text with the metadata of the task, and drops what is not flat. So the
metadata has the number of the task, and the row that is scored is the one here.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, cast

import msgspec

from nemo_gym.agents.trajectory import LoopAgent, Trajectory
from nemo_gym.assembly.collect import Bounds, Collection, open_collection
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.session import Session
from nemo_gym.runs.plan import PlanOptions
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import TaskUnfit, UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.json_values import content_text
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.rollout import Reward, Rollout
from nemo_gym.wire.task import Row

INDEX: Final = "gym_idx"
"""The key of the metadata with the number of the task."""
METHOD: Final = "nemo_gym:"
"""The scoring method of Evaluator begins with it, then comes the environment's reference."""


class TaskSource(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which tasks: as for `gym run`, which takes the same ones."""

    environment: str
    """A name, `path.py` or `path.py:Class`."""
    settings: dict[str, Any] = {}
    input: str = ""
    """A file of tasks, such as the materialised inputs of a run; empty for the environment's own."""
    split: str = "train"
    limit: int | None = None
    seed: int | None = None
    models: dict[str, dict[str, Any]] = {}
    """The models that the environment asks, such as `{"judge": {"url": ..., "model": ...}}`."""


class Seed(msgspec.Struct, kw_only=True):
    """A task as Evaluator reads it."""

    prompt: str
    expected_answer: str
    messages: list[dict[str, Any]]
    metadata: dict[str, Any]
    """The columns of the row, for delegated rollouts, and its number."""


class Verdict(msgspec.Struct, kw_only=True):
    """A score as Evaluator reads it."""

    reward: float
    extracted_answer: str | None = None
    scoring_details: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class EvaluatorTasks:
    """Use it as an async context manager.

    Raises:
        UsageError: on entry, if there is no such environment, or a setting or a task is wrong.
        GymError: on entry, if a model that the environment asks can't be reached.
    """

    def __init__(self, source: TaskSource) -> None:
        self.source = source
        self.rows: list[Row] = []
        self._stack = AsyncExitStack()
        self._collection: Collection | None = None

    async def __aenter__(self) -> Self:
        source = self.source
        opening = open_collection(
            source.environment,
            "none",
            settings=source.settings,
            models=source.models,
            seed=source.seed,
            concurrency=_CONCURRENCY,
        )
        self._collection = await self._stack.enter_async_context(opening)
        try:
            bounds = Bounds(split=source.split, seed=source.seed or 0, limit=source.limit)
            tasks = Path(source.input) if source.input else None
            self.rows = list(self._collection.plan(tasks, PlanOptions(seed=source.seed), bounds))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collection = None
        await self._stack.aclose()

    def seed(self, number: int) -> Seed:
        """The task of a number.

        Raises:
            UsageError: there is no such task.
        """
        row = self._row(number)
        params: dict[str, Any] = row[keys.PARAMS]
        messages = chat_request(cast("RequestParams", params))["messages"]
        columns = {name: value for name, value in row.items() if name not in _NOT_COLUMNS}
        more = {name: params[name] for name in ("tools", "reasoning") if params.get(name)}
        return Seed(
            prompt=_last_text(messages),
            expected_answer=_expected(row),
            messages=messages,
            metadata={**columns, **more, INDEX: number},
        )

    async def verify(self, number: int, answer: str) -> Verdict:
        """The score of an answer to the task of a number.

        Raises:
            UsageError: there is no such task.
            RolloutError: the answer can't be scored, which is no reward of 0.
        """
        assert self._collection is not None
        if self._collection.collector.agent.plays == "steps":
            raise TaskUnfit(f"{self.source.environment} has reset and step, not one answer: {_DELEGATE}")
        rollout = await self._collection.collector.attempt(self._row(number), _TextAnswer(answer))
        if rollout.failure is not None:
            raise rollout.failure
        assert rollout.reward is not None
        return _verdict(rollout, self.source.environment)

    def _row(self, number: int) -> Row:
        if not 0 <= number < len(self.rows):
            raise UsageError(f"there is no task {number}: the numbers go from 0 to {len(self.rows) - 1}")
        return self.rows[number]


class _TextAnswer(LoopAgent):
    """Has a text scored that somebody else's model gave."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    async def play(
        self, trajectory: Trajectory, session: Session, environment: EnvironmentLink
    ) -> tuple[Reward, str]:
        if trajectory.params.get("tools"):
            raise TaskUnfit(f"the task has tools, which an answer as text can't call: {_DELEGATE}")
        trajectory.items.append(assistant(self._text))
        began = monotonic()
        reward = await environment.verify(session, trajectory.response())
        trajectory.timing["verify_s"] = monotonic() - began
        return reward, "completed"


def _verdict(rollout: Rollout, environment: str) -> Verdict:
    columns = {name: value for name, value in rollout.details.items() if name not in _NOT_DETAILS}
    extracted = columns.get("extracted_answer")
    details: dict[str, Any] = {"method": f"{METHOD}{environment}", **columns}
    if rollout.components is not None:
        details[keys.REWARD_COMPONENTS] = dict(rollout.components)
    return Verdict(
        reward=float(rollout.reward or 0.0),
        extracted_answer=None if extracted is None else str(extracted),
        scoring_details=details,
    )


def _last_text(messages: list[dict[str, Any]]) -> str:
    """The text of the last user message."""
    return content_text(next((one["content"] for one in reversed(messages) if one["role"] == "user"), ""))


def _expected(row: Row) -> str:
    """The right answer for Evaluator's reports; nothing is scored with it."""
    value = next((row[name] for name in _ANSWERS if row.get(name) is not None), "")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_CONCURRENCY: Final = 512
_DELEGATE: Final = "use Evaluator's solver gym_delegation with trust_reward, and a server of `gym env start`"
_ANSWERS: Final = ("expected_answer", "answer", "expected", "target")
_NOT_COLUMNS: Final = keys.RESERVED | {"self", "expected", "sandbox", INDEX}
"""Names that Evaluator's `verify` has for its own arguments, and what the plan adds to a row."""
_NOT_DETAILS: Final = frozenset({"method", "needs_judge", "judge", "_judge_fn", "error", "error_category"})
"""Details that have a meaning for Evaluator."""
