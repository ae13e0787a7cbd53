"""The metrics of a run, computed row by row in little memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.runs.asked_counts import AskedCount, add_counts, read_asked_counts
from nemo_gym.runs.environment_metrics import Additions, OwnMetrics
from nemo_gym.runs.paths import whole_file
from nemo_gym.runs.tool_counts import ToolCount, ToolCounts, read_counts
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.stats.statistics import (
    ClusteredMean,
    PassCurves,
    SolvedCurves,
    describe,
    describe_one,
)
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode, encode


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The figures of a run, coverage first: requested = scored + failed + pending."""

    requested: int
    scored: int
    failed: dict[str, int]
    """Failed rollouts by failure class. They have no reward and count in no mean."""
    pending: int
    tasks: int
    """Tasks with at least one scored rollout."""
    mean_reward: float | None
    ci95: tuple[float, float] | None
    """The 95% confidence interval of the mean reward, clustered by task and inside the range of rewards; None
    with fewer than two tasks, or when all rewards are alike and not an end of the range."""
    pass_at: dict[int, float] = field(default_factory=dict[int, float])
    """Percent of tasks that one of k rollouts solves, for k = 1, 2, 4, ... and the most repeats of any task;
    a task with fewer than k scored rollouts counts with those it has."""
    best_at: dict[int, float] = field(default_factory=dict[int, float])
    """The expected best reward of k rollouts, for the same k."""
    tasks_at: dict[int, int] = field(default_factory=dict[int, int])
    """Tasks with at least k scored rollouts, for the same k."""
    solved_at: float = 1.0
    """The lowest reward that means solved."""
    binary: bool = True
    """Whether rewards can only be 0 or 1: then pass@1 is the mean and best@k is pass@k."""
    planned_tasks: int | None = None
    """Tasks in the plan; None without a plan."""
    tools: dict[str, ToolCount] = field(default_factory=dict[str, ToolCount])
    """Calls and errors of each tool in scored rollouts."""
    asked_models: dict[str, AskedCount] = field(default_factory=dict[str, AskedCount])
    """Calls of each model that the environment asked in scored rollouts."""
    input_tokens: int | None = None
    """The sum over scored rollouts; None when a rollout's usage is unknown."""
    output_tokens: int | None = None


class MetricsAccumulator:
    """Computes metrics from rollout rows in any order. Holds eight bytes per rollout and numeric field.

    Args:
        answer_key: the field with the extracted answer, for majority@k.
        own: adds the metrics of the environment itself to the file.
        scale: the range of rewards.
    """

    def __init__(
        self,
        *,
        answer_key: str | None = None,
        own: Additions | None = None,
        scale: RewardScale = UNKNOWN_SCALE,
    ) -> None:
        self._answer_key = answer_key
        self._scale = scale
        self._own = own or OwnMetrics(None)
        self.key_metrics: dict[str, dict[str, Any]] = {}
        """The key metrics of each agent, once the file is written."""
        self._agents: dict[str, _Agent] = {}
        self._agent_of: dict[bytes, _Agent] = {}
        self._requested: int | None = None
        self._failed: dict[str, int] = {}
        self._rows = 0
        self._last_rewards: tuple[tuple[_Agent, ...], int, _Rewards] | None = None
        """The last result of `_rewards`: for one agent, the file and the summary need the same."""

    def add(self, row: bytes | dict[str, Any]) -> tuple[int, int] | None:
        """Count one row of a rollouts file: its (task, repeat); None for a failure, which doesn't count.

        Raises:
            UsageError: the row is not JSON, not an object, or has no identity.
        """
        self._rows += 1
        raws = self._decode(row)
        if keys.FAILURE_CLASS in raws:
            return None
        agent = self._agent(raws)
        answer = raws.get(self._answer_key) if self._answer_key else None
        task, rollout = self._index(raws, keys.TASK_INDEX), self._index(raws, keys.ROLLOUT_INDEX)
        agent.add(task, rollout, raws, answer)
        self._own.add(agent.name, task, rollout, raws)
        return task, rollout

    def plan(self, row: bytes | dict[str, Any]) -> tuple[int, int]:
        """Count one row of the materialised inputs, for tasks without any scored rollout: its (task, repeat).

        Raises:
            UsageError: as for `add`.
        """
        self._rows += 1
        try:
            planned = _planned_decoder.decode(encode(row) if isinstance(row, dict) else row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"plan row {self._rows}: {str(error).replace('$.', '')}") from None
        expected = self._agents.setdefault(planned.agent_ref.name, _Agent(planned.agent_ref.name)).expected
        expected[planned.task_index] = expected.get(planned.task_index, 0) + 1
        return planned.task_index, planned.rollout_index

    def expect(self, requested: int, failed: Mapping[str, int]) -> None:
        """Set how many rollouts are in the plan and how many failed, by class."""
        self._requested = requested
        self._failed = {name: failed[name] for name in sorted(failed)}

    def columns(self) -> dict[str, Collection[str]]:
        """The numeric columns of each agent."""
        return {name: agent.fields.keys() for name, agent in self._agents.items()}

    def summary(self) -> RunSummary:
        """The figures of the whole run."""
        scored = sum(agent.count for agent in self._agents.values())
        requested = scored + sum(self._failed.values()) if self._requested is None else self._requested
        rewards = self._rewards(tuple(agent for _, agent in sorted(self._agents.items())))
        mean, solved = rewards.mean, rewards.solved
        planned = set[int]().union(*(agent.expected for agent in self._agents.values()))
        tokens = [self._total(name) for name in ("input_tokens", "output_tokens")]
        asked_models: dict[str, AskedCount] = {}
        for agent in self._agents.values():
            add_counts(asked_models, agent.asked_models)
        return RunSummary(
            requested=requested,
            scored=scored,
            failed=self._failed,
            pending=requested - scored - sum(self._failed.values()),
            tasks=mean.tasks,
            mean_reward=mean.mean if mean.count else None,
            ci95=mean.interval,
            pass_at={k: solved.passed(k) for k in solved.ks},
            best_at={k: solved.best(k) for k in solved.ks},
            tasks_at={k: solved.tasks_with(k) for k in solved.ks},
            solved_at=self._scale.solved_at,
            binary=mean.is_binary and (self._scale.low, self._scale.high) == (0.0, 1.0),
            planned_tasks=len(planned) or None,
            tools=self._tools(self._agents.values()),
            asked_models=dict(sorted(asked_models.items())),
            input_tokens=tokens[0],
            output_tokens=tokens[1],
        )

    def write(self, path: Path) -> None:
        """Write the aggregate metrics file, whole or not at all.

        Raises:
            GymError: a hook raised.
        """
        with whole_file(path) as file:
            file.writelines(self._json())

    def document(self) -> list[dict[str, Any]]:
        """What `write` writes.

        Raises:
            GymError: a hook raised.
        """
        return decode(b"".join(self._json()))

    def groups(self) -> Iterator[dict[str, Any]]:
        """The metrics of every task in order, without those of hooks."""
        every = (_group_metrics(self._agents[name], name) for name in sorted(self._agents))
        return merge(*every, key=itemgetter(keys.TASK_INDEX))

    def by_agent(self) -> dict[str, dict[str, Any]]:
        """The metrics of each agent, without those of hooks."""
        return {name: self._agent_metrics(self._agents[name]) for name in sorted(self._agents)}

    def statistics(self) -> dict[str, dict[str, float]]:
        """The plain statistics of the numeric columns of each agent."""
        return {name: _statistics(self._agents[name]) for name in sorted(self._agents)}

    def _rewards(self, agents: tuple[_Agent, ...]) -> _Rewards:
        """The rewards of these agents, by task, with the answers that they are for."""
        if self._last_rewards and self._last_rewards[:2] == (agents, self._rows):
            return self._last_rewards[2]
        mean, curves = ClusteredMean(scale=self._scale), PassCurves()
        solved = SolvedCurves(self._scale)
        for agent in agents:
            rewards = agent.fields.get(keys.REWARD)
            if rewards is None:
                continue
            for group in agent.groups():
                places = [place for place in group if rewards[place] == rewards[place]]
                for place in places:
                    mean.add(agent.tasks[place], rewards[place])
                answers = [agent.answers[place] or None for place in places] if self._answer_key else None
                values = [rewards[place] for place in places]
                curves.add(values, answers)
                solved.add(values)
        rewards_of_agents = _Rewards(mean, curves, solved)
        self._last_rewards = (agents, self._rows, rewards_of_agents)
        return rewards_of_agents

    def _tools(self, agents: Iterable[_Agent]) -> dict[str, ToolCount]:
        """The calls of each tool by these agents, in order of name."""
        total = ToolCounts()
        for agent in agents:
            for name, count in agent.tools.by_name.items():
                total.add(name, count)
        return dict(sorted(total.by_name.items()))

    def _json(self) -> Iterator[bytes]:
        yield b"["
        for number, name in enumerate(sorted(self._agents)):
            agent = self._agents[name]
            yield b",\n  {" if number else b"\n  {"
            yield b'\n    "%b": ' % keys.AGENT_REF.encode() + _indented({"name": name}, 4)
            own, per_task = self._own.compute(name)
            metrics = self._agent_metrics(agent) | own
            yield b',\n    "agent_metrics": ' + _indented(metrics, 4)
            self.key_metrics[name] = self._own.key_metrics(name, metrics)
            yield b',\n    "key_metrics": ' + _indented(self.key_metrics[name], 4)
            yield b',\n    "group_level_metrics": ['
            separator = b"\n      "
            for group in _group_metrics(agent, name):
                yield separator + encode(group | per_task.get(group[keys.TASK_INDEX], _NOTHING))
                separator = b",\n      "
            yield b"\n    ]\n  }" if separator[0] == ord(",") else b"]\n  }"
        yield b"\n]\n" if self._agents else b"]\n"

    def _agent_metrics(self, agent: _Agent) -> dict[str, Any]:
        metrics: dict[str, Any] = {**_statistics(agent)}
        rewards = self._rewards((agent,))
        curves = {"accuracy": rewards.curves}
        if self._answer_key:
            curves["no_answer"] = no_answer = PassCurves()
            for group in agent.groups():
                answers = [agent.answers[place] or None for place in group]
                no_answer.add([float(answer is None) for answer in answers], answers)
        if (interval := rewards.mean.interval) is not None:
            metrics["ci95_low/reward"], metrics["ci95_high/reward"] = interval
        for k in rewards.solved.ks:
            metrics[f"solved_in_{k}/reward"] = rewards.solved.passed(k)
            metrics[f"best_of_{k}/reward"] = rewards.solved.best(k)
        for name, count in self._tools([agent]).items():
            metrics[f"tool_calls/{name}"], metrics[f"tool_errors/{name}"] = count.calls, count.errors
        for name, curve in curves.items():
            metrics |= curve.metrics(name, majority=self._answer_key is not None)
        metrics["per_sample_aggregate"] = {name: curve.per_run() for name, curve in curves.items()}
        return metrics | self._coverage(agent)

    def _coverage(self, agent: _Agent) -> dict[str, float]:
        alone = len(self._agents) == 1
        requested = sum(agent.expected.values())
        if alone and self._requested is not None:
            requested = self._requested
        elif not requested:
            requested = agent.count
        coverage: dict[str, float] = {
            "coverage/requested": requested,
            "coverage/scored": agent.count,
            "coverage/missing": requested - agent.count,
            "coverage/scored_pct": 100.0 * agent.count / requested if requested else 0.0,
        }
        if alone:
            failed = sum(self._failed.values())
            coverage |= {"coverage/failed": failed, "coverage/pending": requested - agent.count - failed}
            coverage |= {f"coverage/failed/{name}": count for name, count in self._failed.items()}
        return coverage

    def _decode(self, row: bytes | dict[str, Any]) -> dict[str, msgspec.Raw]:
        try:
            return _decoder.decode(encode(row) if isinstance(row, dict) else row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"rollouts row {self._rows}: not a JSON object: {error}") from None

    def _agent(self, raws: dict[str, msgspec.Raw]) -> _Agent:
        ref = bytes(raws.get(keys.AGENT_REF, b"null"))
        agent = self._agent_of.get(ref)
        if agent is None:
            try:
                reference = _ref_decoder.decode(ref)
            except msgspec.DecodeError as error:
                raise UsageError(f"rollouts row {self._rows}: agent_ref: {error}") from None
            name = reference.name if reference else ""
            agent = self._agent_of[ref] = self._agents.setdefault(name, _Agent(name))
        return agent

    def _index(self, raws: dict[str, msgspec.Raw], name: str) -> int:
        try:
            index = int(raws[name])
        except (KeyError, ValueError):
            raise UsageError(f"rollouts row {self._rows}: {name}: a whole number is missing") from None
        if index.bit_length() > 63:
            raise UsageError(f"rollouts row {self._rows}: {name}: {index} does not fit 64 bits")
        return index

    def _total(self, name: str) -> int | None:
        total = 0.0
        for agent in self._agents.values():
            total += math.fsum(agent.fields.get(name, _UNKNOWN if agent.count else ()))
        return None if math.isnan(total) else int(total)


@dataclass(frozen=True, slots=True)
class _Rewards:
    """Statistics of the rewards of some agents."""

    mean: ClusteredMean
    curves: PassCurves
    solved: SolvedCurves


class _Agent:
    """The rollouts of one agent, as columns."""

    __slots__ = ("answers", "asked_models", "expected", "fields", "name", "rollouts", "tasks", "tools")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks = array("q")
        self.rollouts = array("q")
        self.fields: dict[str, array[float]] = {}
        self.answers = array("Q")
        """A digest of each rollout's answer; 0 for none."""
        self.expected: dict[int, int] = {}
        """Planned rollouts per task."""
        self.tools = ToolCounts()
        self.asked_models: dict[str, AskedCount] = {}

    @property
    def count(self) -> int:
        return len(self.tasks)

    def add(self, task: int, rollout: int, raws: dict[str, msgspec.Raw], answer: msgspec.Raw | None) -> None:
        values = _numbers(raws)
        count = len(self.tasks)
        self.tasks.append(task)
        self.rollouts.append(rollout)
        self.answers.append(_digest(answer))
        if keys.TOOL_CALLS in raws:
            for name, tool in read_counts(raws[keys.TOOL_CALLS]).items():
                self.tools.add(name, tool)
        if keys.ASKED_MODELS in raws:
            add_counts(self.asked_models, read_asked_counts(raws[keys.ASKED_MODELS]))
        fields = self.fields
        appended = 0
        for name, value in values.items():
            column = fields.get(name)
            if column is None:
                if len(fields) >= _MAX_FIELDS:
                    continue
                column = fields[name] = array("d", _UNKNOWN) * count
            column.append(value)
            appended += 1
        if appended != len(fields):
            for column in fields.values():
                if len(column) == count:
                    column.append(math.nan)

    def groups(self) -> Iterator[list[int]]:
        """The places of each task's rollouts, tasks and rollouts in ascending order."""
        tasks, rollouts = self.tasks, self.rollouts
        keyed = [(task << 32) + rollout for task, rollout in zip(tasks, rollouts, strict=True)]
        order = sorted(range(len(tasks)), key=keyed.__getitem__)
        for _, group in groupby(order, key=tasks.__getitem__):
            yield list(group)


def _statistics(agent: _Agent) -> dict[str, float]:
    return describe(dict(sorted(agent.fields.items())))


def _group_metrics(agent: _Agent, name: str) -> Iterator[dict[str, Any]]:
    """The metrics of every task, scored or only planned, in order."""
    scored = ((agent.tasks[group[0]], group) for group in agent.groups())
    unscored = ((task, list[int]()) for task in sorted(agent.expected.keys() - set(agent.tasks)))
    sample = {keys.AGENT_REF: {"name": name}}
    fields = sorted(agent.fields.items())
    for task, group in merge(scored, unscored, key=itemgetter(0)):
        count, expected = len(group), agent.expected.get(task, len(group))
        rows = [_values_at(place, fields) for place in group]
        if count == 1:
            metrics = describe_one(rows[0])
        else:
            metrics = describe({field: [column[place] for place in group] for field, column in fields})
        yield {
            keys.TASK_INDEX: task,
            **metrics,
            "num_rollouts": count,
            "expected_num_rollouts": expected,
            "missing_num_rollouts": max(0, expected - count),
            "reward_profile_completion_pct": 100.0 * count / expected if expected else 100.0,
            "sample": sample,
            "rollout_infos": [
                {
                    "rollout_id": f"{task}:{agent.rollouts[place]}",
                    keys.TASK_INDEX: task,
                    keys.ROLLOUT_INDEX: agent.rollouts[place],
                    **values,
                }
                for place, values in zip(group, rows, strict=True)
            ],
        }


def _values_at(place: int, fields: list[tuple[str, array[float]]]) -> dict[str, float]:
    return {name: value for name, column in fields if (value := column[place]) == value}


_NOTHING: Final[dict[str, Any]] = {}
_MAX_FIELDS: Final = 256
_DIGEST_BITS: Final = (1 << 64) - 1
_TOO_LARGE: Final = 1e150
"""Numbers from here on are no columns: their squares would overflow."""
_UNKNOWN: Final = (math.nan,)
_BOOLEAN: Final = b"tf"
_NUMBER: Final = frozenset(b"-0123456789")
_NO_COLUMN: Final = keys.RESERVED - {keys.REWARD} | {"task_id", "problem_id", "instance_id", "id"}


class _Usage(msgspec.Struct):
    usage: dict[str, Any] | None = None


class _AgentRef(msgspec.Struct, frozen=True):
    name: str = ""


class _Planned(msgspec.Struct, rename={"task_index": keys.TASK_INDEX, "rollout_index": keys.ROLLOUT_INDEX}):
    task_index: int
    rollout_index: int = 0
    agent_ref: _AgentRef = _AgentRef()


_planned_decoder = msgspec.json.Decoder(_Planned)
_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_response_decoder = msgspec.json.Decoder(_Usage | None)
_ref_decoder = msgspec.json.Decoder(_AgentRef | None)
_components_decoder = msgspec.json.Decoder(dict[str, Any] | None)


def _numbers(raws: dict[str, msgspec.Raw]) -> dict[str, float]:
    """The numeric columns of a row: top-level numbers and booleans, usage, and the parts of the reward."""
    values: dict[str, float] = {}
    for name, raw in raws.items():
        if name in _NO_COLUMN:
            continue
        text = bytes(raw)
        first = text[0]
        if first in _NUMBER:
            value = float(text)
            if abs(value) < _TOO_LARGE and not name.startswith(keys.PREFIX):
                values[name] = value
        elif first in _BOOLEAN:
            values[name] = float(first == _BOOLEAN[0])
    try:
        if keys.REWARD_COMPONENTS in raws:
            parts = _finite_numbers(_components_decoder.decode(raws[keys.REWARD_COMPONENTS]))
            values |= {f"{keys.REWARD_COMPONENTS}/{name}": part for name, part in parts.items()}
        if keys.RESPONSE in raws:
            response = _response_decoder.decode(raws[keys.RESPONSE])
            values |= _finite_numbers(response.usage if response else None)
    except msgspec.DecodeError:
        return values
    return values


def _finite_numbers(fields: dict[str, Any] | None) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in (fields or {}).items()
        if isinstance(value, (int, float)) and abs(value) < _TOO_LARGE
    }


def _digest(answer: msgspec.Raw | None) -> int:
    """A number that is the same for equal answers in this process; 0 for no answer."""
    text = b"null" if answer is None else bytes(answer)
    return 0 if text == b"null" else hash(text) & _DIGEST_BITS or 1


def _indented(value: Any, columns: int) -> bytes:
    text = msgspec.json.format(encode(value), indent=2)
    return text.replace(b"\n", b"\n" + b" " * columns)
