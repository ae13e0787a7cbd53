"""The metrics that an environment adds to those of every run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NoReturn, Protocol

import msgspec

from nemo_gym.environments.base import Environment, mean_metrics
from nemo_gym.wire import keys
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.exception_text import is_fault, message_of, origin
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.task import Row


class MetricHooks(Protocol):
    """The methods of an `Environment` that compute metrics."""

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]: ...

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]: ...


class Additions(Protocol):
    """Metrics beside those of every run."""

    def add(self, agent: str, task: int, rollout: int, raws: Mapping[str, msgspec.Raw]) -> None:
        """Count one scored rollout."""
        ...

    def compute(self, agent: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """The further metrics of an agent, and those of its tasks by index."""
        ...

    def key_metrics(self, agent: str, metrics: dict[str, Any]) -> dict[str, Any]:
        """The most important of all metrics of an agent."""
        ...


class OwnMetrics:
    """The metrics of the hooks of one environment.

    Rows are held, without their trajectories, only where the environment has a `compute_metrics`.
    """

    def __init__(self, hooks: MetricHooks | None) -> None:
        self._hooks = hooks
        self._computes = hooks is not None and type(hooks).compute_metrics is not Environment.compute_metrics
        self._rows: defaultdict[str, dict[int, dict[int, Row]]] = defaultdict(dict)

    def add(self, agent: str, task: int, rollout: int, raws: Mapping[str, msgspec.Raw]) -> None:
        if self._computes:
            row: Row = decode(encode(without_trajectory(raws)))
            self._rows[agent].setdefault(task, {})[rollout] = row

    def compute(self, agent: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """As of `Additions`.

        Raises:
            GymError: the hook raised, or returned something else.
        """
        if self._hooks is None or not self._computes:
            return {}, {}
        tasks = [
            [row for _, row in sorted(rollouts.items())] for _, rollouts in sorted(self._rows[agent].items())
        ]
        try:
            metrics = dict(self._hooks.compute_metrics(tasks))
            per_task = {group[keys.TASK_INDEX]: group for group in metrics.pop("per_task_metrics", ())}
        except BaseException as error:
            _reraise("compute_metrics", error)
        return metrics, per_task

    def key_metrics(self, agent: str, metrics: dict[str, Any]) -> dict[str, Any]:
        """As of `Additions`: every mean unless the environment chooses.

        Raises:
            GymError: the hook raised.
        """
        if self._hooks is None:
            return mean_metrics(metrics)
        try:
            return self._hooks.get_key_metrics(metrics)
        except BaseException as error:
            _reraise("get_key_metrics", error)


def _reraise(hook: str, error: BaseException) -> NoReturn:
    """Raise the exception of a hook: a cancellation as it is, any other as a `GymError`."""
    if not is_fault(error):
        raise error
    raise GymError(f"{hook} raised {message_of(error)}{origin(error)}") from error


def without_trajectory(raws: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """A rollout row for metrics: of the trajectory it has only the `usage`."""
    row: dict[str, Any] = {name: raw for name, raw in raws.items() if name not in _TRAJECTORY}
    if keys.RESPONSE in raws:
        try:
            response = _response_decoder.decode(raws[keys.RESPONSE])
        except msgspec.ValidationError:
            response = None
        row[keys.RESPONSE] = {"usage": response.usage if response else None}
    return row


class _Response(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")


_response_decoder: Final = msgspec.json.Decoder(_Response | None)
_TRAJECTORY: Final = frozenset(
    {keys.RESPONSE, keys.PARAMS, keys.AGENT_OBSERVATIONS, keys.MODEL_CALL_CAPTURE, keys.TRAJECTORY}
)
