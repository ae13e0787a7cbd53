"""What agents and environments at URLs say that their rollouts come to."""

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
"""Posts a body to the `/aggregate_metrics` of an agent and gives what it answers."""


@runtime_checkable
class KnowsMetrics(Protocol):
    """The way to a server that has an `/aggregate_metrics`."""

    async def metrics_of(self, agent: str, body: Body) -> bytes: ...

    async def aclose(self) -> None: ...


class RemoteMetrics:
    """Takes in scored rollouts and has servers add their metrics to those that every run has.

    The rows wait, without their trajectories, in files that have no name.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._rows: defaultdict[str, _Rows] = defaultdict(_Rows)
        self._answers: dict[str, _Answer] = {}
        self.problems: dict[str, str] = {}
        """Why there are no metrics from a server, by agent."""

    def add(self, agent: str, task: int, rollout: int, raws: Mapping[str, msgspec.Raw]) -> None:
        """Take in one scored rollout."""
        self._rows[agent].add(task, rollout, encode(without_trajectory(raws)))

    async def ask(self, columns: Mapping[str, Collection[str]]) -> None:
        """Ask about every agent, all at once. Nothing that goes wrong with one is raised.

        Args:
            columns: the numeric columns of each agent, whose statistics are known here already.
        """
        self.problems = dict.fromkeys(self._rows, "there was no time to ask")
        await asyncio.gather(*(self._ask_about(agent, columns[agent]) for agent in self._rows))

    def compute(self, agent: str) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """What was answered about an agent, and about its tasks by index."""
        answer = self._answers.get(agent)
        return (answer.metrics, answer.per_task) if answer else ({}, {})

    def key_metrics(self, agent: str, metrics: dict[str, Any]) -> dict[str, Any]:
        """The metrics to look at first: those that the server says, else every mean."""
        answer = self._answers.get(agent)
        return answer.key_metrics if answer else mean_metrics(metrics)

    def close(self) -> None:
        """Let go of the rows."""
        for rows in self._rows.values():
            rows.close()

    async def _ask_about(self, agent: str, columns: Collection[str]) -> None:
        try:
            answer = _read(await self._ask(agent, self._rows[agent].body), columns)
        except Exception as error:  # whatever it is, the run and its own metrics stand
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
    """Those of the servers that score a run's rollouts; None where the environment is in this process."""
    kind = find_agent(agent.name)
    if isinstance(kind, type) and issubclass(kind, KnowsMetrics):
        server = cast("KnowsMetrics", agent.build())
    elif environment.url:
        server = RemoteEnvironment(environment.url, about=environment.about, token=environment.token)
    else:
        yield None
        return
    async with aclosing(server):
        with closing(RemoteMetrics(server.metrics_of)) as remote:
            yield remote


class _Rows:
    """Rows in a file, given back in order of task and rollout."""

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
    """What a server answered, without what is known better here: it has not seen what was asked for."""

    metrics: dict[str, Any]
    key_metrics: dict[str, Any]
    per_task: dict[int, dict[str, Any]]
    """By task index, and only what isn't known of a task here."""
    warning: str


class _Said(msgspec.Struct):
    agent_metrics: dict[str, Any]
    key_metrics: dict[str, Any] = {}
    group_level_metrics: list[msgspec.Raw] = []
    warning: str | None = None


def _read(content: bytes, columns: Collection[str]) -> _Answer:
    """The answer in a body.

    Raises:
        ValueError: it is no such answer.
        RecursionError: it nests too deeply.
    """
    try:
        answer = _said_decoder.decode(content)
        groups = map(_group_decoder.decode, answer.group_level_metrics)
        news = ((int(group[keys.TASK_INDEX]), _news(group, columns)) for group in groups)
        per_task = {task: found for task, found in news if found}
    except (ValueError, KeyError) as error:
        raise ValueError(f"the answer is something else than metrics: {error}") from None
    metrics, key_metrics = _without_coverage(answer.agent_metrics), _without_coverage(answer.key_metrics)
    return _Answer(metrics, key_metrics, per_task, answer.warning or "")


_said_decoder: Final = msgspec.json.Decoder(_Said)
_group_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _news(group: Mapping[str, msgspec.Raw], columns: Collection[str]) -> dict[str, Any]:
    return {
        name: decode(value)
        for name, value in group.items()
        if name not in _KNOWN_OF_TASKS and not _is_known(name, columns)
    }


def _is_known(name: str, columns: Collection[str]) -> bool:
    statistic, _, column = name.partition("/")
    return statistic in _STATISTICS and column in columns


def _without_coverage(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not name.startswith("coverage/")}


_IN_MEMORY: Final = 1 << 20
"""Bytes of rows that are kept out of the file system."""
_PIECE: Final = 1 << 16
_STATISTICS: Final = frozenset({"mean", "max", "min", "median", "std"})
_KNOWN_OF_TASKS: Final = frozenset(
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
