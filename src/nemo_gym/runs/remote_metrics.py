"""The metrics that agents and environments at URLs compute for their rollouts."""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

import msgspec

from nemo_gym.agents.registry import find_agent
from nemo_gym.environments.base import mean_metrics
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec
from nemo_gym.runs.environment_metrics import without_trajectory
from nemo_gym.transport.exchange import Body
from nemo_gym.wire import keys
from nemo_gym.wire.jsonl import decode, encode

Ask: TypeAlias = Callable[[str, Body], Awaitable[bytes]]
"""Posts a body to the `/aggregate_metrics` of an agent; the body of the answer."""


@runtime_checkable
class MetricsServer(Protocol):
    """A client of a server that has an `/aggregate_metrics`."""

    async def metrics_of(self, agent: str, body: Body) -> bytes: ...

    async def aclose(self) -> None: ...


class RemoteMetrics:
    """Collects scored rollouts and asks servers for metrics beside those that every run has.

    The rows wait, without their trajectories, in temporary files.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._rows: defaultdict[str, _Rows] = defaultdict(_Rows)
        self._answers: dict[str, _Answer] = {}
        self.problems: dict[str, str] = {}
        """Why there are no metrics from a server, by agent."""

    def add(self, agent: str, task: int, rollout: int, raws: Mapping[str, msgspec.Raw]) -> None:
        self._rows[agent].add(task, rollout, encode(without_trajectory(raws)))

    async def ask(self, columns: Mapping[str, Collection[str]]) -> None:
        """Ask the servers of all agents at once. An error is noted in `problems` and not raised.

        Args:
            columns: the numeric columns of each agent, whose statistics this process computes itself.
        """
        self.problems = dict.fromkeys(self._rows, "there was no time to ask")
        await asyncio.gather(*(self._ask_about(agent, columns[agent]) for agent in self._rows))

    def compute(self, agent: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        answer = self._answers.get(agent)
        return (answer.metrics, answer.per_task) if answer else ({}, {})

    def key_metrics(self, agent: str, metrics: dict[str, Any]) -> dict[str, Any]:
        """The key metrics in the answer of the server, else every mean."""
        answer = self._answers.get(agent)
        return answer.key_metrics if answer else mean_metrics(metrics)

    def close(self) -> None:
        """Delete the temporary files."""
        for rows in self._rows.values():
            rows.close()

    async def _ask_about(self, agent: str, columns: Collection[str]) -> None:
        try:
            answer = _read_answer(await self._ask(agent, self._rows[agent].body), columns)
        except Exception as error:  # the run has its own metrics all the same
            self.problems[agent] = str(error) or type(error).__name__
            return
        if answer.metrics:
            self._answers[agent] = answer
        if answer.warning:
            self.problems[agent] = answer.warning
        else:
            del self.problems[agent]


@asynccontextmanager
async def metrics_elsewhere(
    environment: EnvironmentSpec, agent: AgentSpec
) -> AsyncGenerator[RemoteMetrics | None]:
    """The metrics of the server of a run's environment; None where the environment is in this process."""
    kind = find_agent(agent.name)
    if isinstance(kind, type) and issubclass(kind, MetricsServer):
        server = cast("MetricsServer", agent.build())
    elif environment.url:
        server = RemoteEnvironment(environment.url, about=environment.about, token=environment.token)
    else:
        yield None
        return
    async with aclosing(server):
        with closing(RemoteMetrics(server.metrics_of)) as remote:
            yield remote


class _Rows:
    """Rows in a file, read in order of task and rollout."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile[bytes](_IN_MEMORY)
        self._tasks = array("q")
        self._rollouts = array("q")
        self._starts = array("q")

    def add(self, task: int, rollout: int, row: bytes) -> None:
        self._tasks.append(task)
        self._rollouts.append(rollout)
        self._starts.append(self._file.tell())
        self._file.write(row + b"\n")

    async def body(self) -> AsyncGenerator[bytes, Any]:
        """The request body, a piece at a time."""
        places = range(len(self._starts))
        piece = bytearray(b'{"verify_responses":[')
        for number, place in enumerate(
            sorted(places, key=lambda place: (self._tasks[place], self._rollouts[place]))
        ):
            self._file.seek(self._starts[place])
            piece += (b"," if number else b"") + self._file.readline()
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece) + b"]}"

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    """The metrics of a server, without those of the coverage: only the run knows what was planned."""

    metrics: dict[str, Any]
    key_metrics: dict[str, Any]
    per_task: dict[int, dict[str, Any]]
    """By task index, without the metrics that this process computes itself."""
    warning: str


class _AnswerBody(msgspec.Struct):
    agent_metrics: dict[str, Any]
    key_metrics: dict[str, Any] = {}
    group_level_metrics: list[msgspec.Raw] = []
    warning: str | None = None


def _read_answer(content: bytes, columns: Collection[str]) -> _Answer:
    """The metrics in the body of an answer.

    Raises:
        ValueError: it is something else.
        RecursionError: it nests too deeply.
    """
    try:
        answer = _body_decoder.decode(content)
        groups = map(_group_decoder.decode, answer.group_level_metrics)
        news = ((int(group[keys.TASK_INDEX]), _news(group, columns)) for group in groups)
        per_task = {task: metrics for task, metrics in news if metrics}
    except (ValueError, KeyError) as error:
        raise ValueError(f"the answer is something else than metrics: {error}") from None
    metrics, key_metrics = _without_coverage(answer.agent_metrics), _without_coverage(answer.key_metrics)
    return _Answer(metrics, key_metrics, per_task, answer.warning or "")


_body_decoder: Final = msgspec.json.Decoder(_AnswerBody)
_group_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _news(group: Mapping[str, msgspec.Raw], columns: Collection[str]) -> dict[str, Any]:
    return {
        name: decode(value)
        for name, value in group.items()
        if name not in _OWN_OF_TASKS and not _is_own(name, columns)
    }


def _is_own(name: str, columns: Collection[str]) -> bool:
    statistic, _, column = name.partition("/")
    return statistic in _STATISTICS and column in columns


def _without_coverage(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not name.startswith("coverage/")}


_IN_MEMORY: Final = 1 << 20
"""Bytes of rows that are kept out of the file system."""
_PIECE: Final = 1 << 16
_STATISTICS: Final = frozenset({"mean", "max", "min", "median", "std"})
_OWN_OF_TASKS: Final = frozenset(
    {
        keys.TASK_INDEX,
        "num_rollouts",
        "expected_num_rollouts",
        "missing_num_rollouts",
        "reward_profile_completion_pct",
        "sample",
        "rollout_infos",
    }
)
