"""One attempt at one task, scored or failed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, TypeAlias, TypedDict

from nemo_gym.wire import keys
from nemo_gym.wire.errors import Interrupted, RolloutError, VerifierFault, chain
from nemo_gym.wire.items import Json
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row
from nemo_gym.wire.token_packing import expand_row


@dataclass(frozen=True, slots=True)
class Reward:
    """The verifier's result: the scalar, its named parts, and further columns for the row.

    When there are components their sum is the value; every row of an environment has the same names.
    """

    value: float
    components: Mapping[str, float] | None = None
    details: Mapping[str, Json] = field(default_factory=dict[str, Json])


LARGEST_REWARD = 1e150
"""The squares of larger numbers overflow, so they have no statistics."""

RewardLike: TypeAlias = float | int | bool | Mapping[str, float] | Reward
"""What `verify` may return: a number, named components (summed), or a full `Reward`."""


def as_reward(value: RewardLike) -> Reward:
    """The result of a verifier as a `Reward`.

    Raises:
        VerifierFault: `value` is not a finite number, a mapping of such numbers, or a `Reward` of them.
    """
    if isinstance(value, Reward):
        parts = value.components
        components = None if parts is None else {name: _finite(part, name) for name, part in parts.items()}
        return Reward(_finite(value.value), components, value.details)
    if isinstance(value, Mapping):
        components = {str(name): _finite(part, str(name)) for name, part in value.items()}
        return Reward(_finite(math.fsum(components.values())), components)
    return Reward(_finite(value))


def finite_reward(value: object, place: str) -> float:
    """`value` as a reward; the error message begins with `place`.

    Raises:
        VerifierFault: it is not a finite number.
    """
    if type(value) is float and -LARGEST_REWARD < value < LARGEST_REWARD:
        return value
    if not isinstance(value, Real):
        hint = ": is a `return` missing?" if value is None else ""
        raise VerifierFault(f"{place} {type(value).__name__}, not a number, a mapping or a Reward{hint}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number) or (math.isinf(number) and isinstance(value, float)):
        raise VerifierFault(f"{place} {number}, which is not a finite number")
    if not -LARGEST_REWARD < number < LARGEST_REWARD:
        raise VerifierFault(f"{place} a number beyond {LARGEST_REWARD:g}, which has no use as a reward")
    return number


def _finite(value: object, component: str | None = None) -> float:
    if type(value) is float and -LARGEST_REWARD < value < LARGEST_REWARD:
        return value
    return finite_reward(
        value, "verify returned" if component is None else f"verify returned for component {component!r}"
    )


class Timing(TypedDict, total=False):
    """The times of one rollout in seconds; `started_at` is unix time."""

    started_at: float
    total_s: float
    model_s: float
    tool_s: float
    verify_s: float
    model_calls: int
    resumed_turns: int
    """Turns of an earlier process, which were not asked for again."""


@dataclass(slots=True, kw_only=True)
class Rollout:
    """One (task, repeat), either scored or failed: `reward is None` exactly when `failure` is set."""

    row: Row
    """The row of the task with its stamps."""
    response: Response | None = None
    """The whole trajectory: every new item, and the sum of the usage."""
    reward: float | None = None
    components: Mapping[str, float] | None = None
    """The components as the verifier returned them."""
    reward_weights: Mapping[str, float] | None = None
    """The weights of the components in `reward`, if the run sets them."""
    reward_shaping: list[Json] | None = None
    """What each shape of the run subtracted from `reward`, and why."""
    details: Mapping[str, Json] = field(default_factory=dict[str, Json])
    outcome: str = "completed"
    """How the loop ended: completed, max_steps, max_turns, max_output_tokens, context_overflow,
    session_budget_exhausted, content_filter, terminated, truncated, or failed."""
    failure: RolloutError | None = None
    timing: Timing = field(default_factory=Timing)
    tool_calls: Mapping[str, Mapping[str, Json]] | None = None
    """By the name of a tool its `calls` and `errors`, and the text of an `error`."""

    @classmethod
    def scored(
        cls,
        row: Row,
        response: Response,
        reward: Reward,
        *,
        outcome: str = "completed",
        timing: Timing | None = None,
    ) -> Rollout:
        """A finished rollout with its reward."""
        return cls(
            row=row,
            response=response,
            reward=reward.value,
            components=reward.components,
            details=reward.details,
            outcome=outcome,
            timing=timing or {},
        )

    @classmethod
    def failed(
        cls,
        row: Row,
        failure: RolloutError,
        *,
        partial: Response | None = None,
        details: Mapping[str, Json] | None = None,
        timing: Timing | None = None,
    ) -> Rollout:
        """A rollout that could not be scored, with its trajectory so far."""
        return cls(
            row=row,
            response=partial,
            details=details or {},
            outcome="failed",
            failure=failure,
            timing=timing or {},
        )

    @classmethod
    def from_row(cls, row: Row, *, expand: bool = True) -> Rollout:
        """The rollout in a row of a file; further columns of the verifier stay in `row`.

        Args:
            expand: put the whole prompt on every model call (`wire.token_packing`).
        """
        if expand:
            row = expand_row(row)
        data = row.get(keys.RESPONSE)
        failure = failure_of(row)
        return cls(
            row={key: value for key, value in row.items() if key not in keys.RESULT_KEYS},
            response=Response(data) if data is not None else None,
            reward=None if failure else row.get(keys.REWARD),
            components=row.get(keys.REWARD_COMPONENTS),
            reward_weights=row.get(keys.REWARD_WEIGHTS),
            reward_shaping=row.get(keys.REWARD_SHAPING),
            details={key: value for key, value in row.items() if key in keys.DETAIL_KEYS},
            outcome=row.get(keys.OUTCOME, "failed" if failure else "completed"),
            failure=failure,
            timing=row.get(keys.TIMING, {}),
            tool_calls=row.get(keys.TOOL_CALLS),
        )

    @property
    def task_index(self) -> int:
        return self.row[keys.TASK_INDEX]

    @property
    def rollout_index(self) -> int:
        return self.row[keys.ROLLOUT_INDEX]

    @property
    def attempt(self) -> int:
        return self.row.get(keys.ATTEMPT_INDEX, 0)

    def to_row(self) -> Row:
        """The row for the rollouts file, or for a failure the failures file. Details become columns, except
        those that would replace the identity or the result of the row."""
        details = {name: value for name, value in self.details.items() if name not in keys.RESERVED}
        out: Row = {**self.row, **details}
        if self.response is not None:
            out[keys.RESPONSE] = self.response.data
        if self.failure is None:
            out[keys.REWARD] = self.reward
            if self.components is not None:
                out[keys.REWARD_COMPONENTS] = self.components
            if self.reward_weights is not None:
                out[keys.REWARD_WEIGHTS] = self.reward_weights
            if self.reward_shaping is not None:
                out[keys.REWARD_SHAPING] = self.reward_shaping
        else:
            out |= _failure_fields(self.failure)
        if self.tool_calls is not None:
            out[keys.TOOL_CALLS] = self.tool_calls
        out[keys.OUTCOME] = self.outcome
        out[keys.TIMING] = self.timing
        return out


@dataclass(frozen=True, slots=True)
class Partial:
    """What a rollout had done before an error, and the row that the model saw."""

    row: Row
    response: Response | None = None
    details: Mapping[str, Json] = field(default_factory=dict[str, Json])


def keep_partial(
    error: BaseException,
    row: Row,
    response: Response,
    details: Mapping[str, Json] | None = None,
    *,
    sent: Row | None = None,
) -> None:
    """Put the trajectory before an error on it. Several rollouts may end with the same error: it has one for
    each of them. What an inner call has put there stays.

    Args:
        row: of the rollout.
        details: columns about the trajectory.
        sent: the row that the model saw.
    """
    with suppress(Exception):  # an author's class may refuse attributes
        partials: dict[Hashable, Partial] = vars(error).setdefault(_PARTIALS, {})
        partials.setdefault(_identity(row), Partial(sent or row, response, details or {}))


def take_partial(error: BaseException, row: Row) -> Partial:
    """Take what the rollout of a row had done from an error, or from one of its causes."""
    for one in chain(error, lambda one: one.__cause__ or one.__context__):
        if (partial := vars(one).get(_PARTIALS, {}).pop(_identity(row), None)) is not None:
            return partial
    return Partial(row)


def _identity(row: Row) -> Hashable:
    return tuple(row.get(key) for key in (keys.ROLLOUT_ID, keys.TASK_INDEX, keys.ROLLOUT_INDEX))


_PARTIALS = "_partials"


class RecordedFailure(RolloutError):
    """A failure in a row of an earlier run or another program."""

    def __init__(self, message: str, failure_class: str, terminal: bool) -> None:
        super().__init__(message)
        self.failure_class = failure_class
        self.terminal = terminal


def failure_of(row: Row) -> RolloutError | None:
    """The failure in a row; None when it has none."""
    message = row.get(keys.FAILURE_ERROR) or row.get(keys.FAILURE_JUDGE_ERROR) or row.get("error") or ""
    if row.get(keys.NO_PERSIST) is True:
        return Interrupted(str(message or "the server was being shut down"))
    if not row.get(keys.FAILURE_CLASS):
        return None
    failure = RecordedFailure(
        str(message), str(row[keys.FAILURE_CLASS]), row.get(keys.FAILURE_TERMINAL) is True
    )
    status, body = row.get(keys.FAILURE_HTTP_STATUS), row.get(keys.FAILURE_BODY)
    failure.http_status = status if isinstance(status, int) else None
    failure.body = body if isinstance(body, str) else None
    traceback = row.get(keys.FAILURE_TRACEBACK)
    failure.traceback = traceback if isinstance(traceback, str) else None
    return failure


def _failure_fields(failure: RolloutError) -> dict[str, Any]:
    fields: dict[str, Any] = {
        keys.FAILURE_CLASS: failure.failure_class,
        keys.FAILURE_ERROR: without_secrets(str(failure)),
    }
    if failure.terminal:
        fields[keys.FAILURE_TERMINAL] = True
    if failure.pending:
        fields[keys.NO_PERSIST] = True
    if failure.http_status is not None:
        fields[keys.FAILURE_HTTP_STATUS] = failure.http_status
    if failure.body is not None:
        fields[keys.FAILURE_BODY] = without_secrets(failure.body)
    if failure.traceback is not None:
        fields[keys.FAILURE_TRACEBACK] = without_secrets(failure.traceback)
    return fields
