"""`Curriculum`: tasks as often as they are informative, by their pass rates."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import msgspec

from nemo_gym.training.collected import ROW_ID, CollectedRollout
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.task import Row

T = TypeVar("T")


class Curriculum(Generic[T]):
    """An endless source of tasks, which come as often as their weights say.

    A task with the pass rate `p` has the weight `max(floor, 4 p (1 - p))`, the variance of its reward on a
    scale from 0 to 1, if `p` is within `target`, and `floor` otherwise. A task without a known pass rate has
    the weight 1. In the long run, its part of all draws is its weight by the sum of all weights.

    The draws are stride scheduling (C. A. Waldspurger, W. E. Weihl, 1995) with a start that follows from the
    seed: a task is due each time its weight has added up to 1. So every one of `n` tasks is drawn at least
    once in any `n * (1 + 1 / floor)` draws.

    `observe` moves the pass rate of a task: `p + rate * (solved - p)`, where `solved` is the part of a
    group's scored rollouts whose reward reaches `solved_at`. A flow calls it with every group that was
    collected, also with those that a filter leaves out: they are the ones that are solved always or never.

    Args:
        tasks: each once; one that comes again is left out.
        pass_rates: from 0 to 1, one for each task, None where it is unknown.
        target: the lowest and the highest pass rate of an informative task.
        floor: the weight of the others, above 0.
        rate: how much a group counts, above 0 and up to 1.
        solved_at: the lowest reward that means solved.
        seed: fixes the order.

    Raises:
        UsageError: an argument is wrong.
    """

    def __init__(
        self,
        tasks: Sequence[T],
        pass_rates: Sequence[float | None] | None = None,
        *,
        target: tuple[float, float] = (0.2, 0.8),
        floor: float = 0.05,
        rate: float = 0.3,
        solved_at: float = 1.0,
        seed: int = 0,
    ) -> None:
        rates = [None] * len(tasks) if pass_rates is None else list(pass_rates)
        _check(len(tasks), rates, target=target, floor=floor, rate=rate)
        self._target, self._floor, self._rate, self._solved_at = target, floor, rate, solved_at
        self._places: dict[Any, int] = {}
        self._tasks: list[T] = []
        self._rates: list[float | None] = []
        for task, pass_rate in zip(tasks, rates, strict=True):
            if self._places.setdefault(_key(task), len(self._tasks)) == len(self._tasks):
                self._tasks.append(task)
                self._rates.append(pass_rate)
        self._now = 0.0
        rng = random.Random(f"curriculum:{seed}")
        self._due = [rng.random() / self._weight(pass_rate) for pass_rate in self._rates]
        self._sort()

    @property
    def pass_rates(self) -> list[float | None]:
        """The present pass rate of each task, None where it is unknown."""
        return list(self._rates)

    @property
    def weights(self) -> list[float]:
        """The present weight of each task."""
        return [self._weight(pass_rate) for pass_rate in self._rates]

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            due, place = heapq.heappop(self._heap)
            if due == self._due[place]:  # otherwise its weight has changed since
                break
        self._now = due
        self._set_due(place, due + 1 / self._weight(self._rates[place]))
        return self._tasks[place]

    def observe(self, task: T, rollouts: Sequence[CollectedRollout]) -> None:
        """Learn from a group; rollouts without a reward don't count."""
        rewards = [rollout.reward for rollout in rollouts if rollout.reward is not None]
        place = self._places.get(_key(task))
        if place is None or not rewards:
            return
        solved = sum(reward >= self._solved_at for reward in rewards) / len(rewards)
        before = self._rates[place]
        after = solved if before is None else before + self._rate * (solved - before)
        old, new = self._weight(before), self._weight(after)
        self._rates[place] = after
        if old != new:
            self._set_due(place, self._now + (self._due[place] - self._now) * old / new)

    def state(self) -> dict[str, Any]:
        """The state, as JSON."""
        return {"now": self._now, "due": list(self._due), "pass_rates": list(self._rates)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            UsageError: it is the state of another number of tasks.
        """
        if len(state["due"]) != len(self._tasks):
            raise UsageError(f"the state is of {len(state['due'])} tasks, and there are {len(self._tasks)}")
        self._now, self._due, self._rates = state["now"], list(state["due"]), list(state["pass_rates"])
        self._sort()

    def _weight(self, pass_rate: float | None) -> float:
        if pass_rate is None:
            return 1.0
        low, high = self._target
        return max(self._floor, 4 * pass_rate * (1 - pass_rate)) if low <= pass_rate <= high else self._floor

    def _set_due(self, place: int, due: float) -> None:
        self._due[place] = due
        heapq.heappush(self._heap, (due, place))
        if len(self._heap) > 2 * len(self._tasks) + 16:
            self._sort()

    def _sort(self) -> None:
        self._heap = [(due, place) for place, due in enumerate(self._due)]
        heapq.heapify(self._heap)


def profile_tasks(path: Path | str, *, solved_at: float = 1.0) -> tuple[list[Row], list[float | None]]:
    """The tasks of a reward profile (`gym eval profile`) and their pass rates, for `Curriculum`.

    Args:
        path: `<rollouts stem>_reward_profiling.jsonl`.
        solved_at: the lowest reward that means solved.

    Raises:
        UsageError: there is no such file.
        DataError: a line is not of a reward profile.
    """
    tasks: list[Row] = []
    rates: list[float | None] = []
    for number, line in read_rows(Path(path)):
        sample, rollouts = line.get("sample"), line.get("rollout_infos")
        if not isinstance(sample, dict) or not isinstance(rollouts, list):
            raise DataError(f"{path}:{number}: expected a line of a reward profile, of gym eval profile")
        rewards = [one.get(keys.REWARD) for one in objects_of(cast("object", rollouts))]
        known = [reward for reward in rewards if isinstance(reward, int | float) and reward == reward]
        row = cast("dict[str, Any]", sample)
        tasks.append({name: value for name, value in row.items() if name not in keys.NOT_TASK})
        rates.append(sum(reward >= solved_at for reward in known) / len(known) if known else None)
    return tasks, rates


def _key(task: object) -> Any:
    """The same for tasks that are the same, also for one that was saved as JSON and read again."""
    if isinstance(task, Mapping) and ROW_ID in task:
        return cast("Mapping[str, Any]", task)[ROW_ID]
    return task if isinstance(task, int | str) else msgspec.json.encode(task, order="sorted")


def _check(
    count: int, rates: Sequence[float | None], *, target: tuple[float, float], floor: float, rate: float
) -> None:
    if not count:
        raise UsageError("a curriculum needs tasks")
    if len(rates) != count:
        raise UsageError(f"a curriculum of {count} tasks has {len(rates)} pass rates: expected one for each")
    for place, value in enumerate(rates):
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"pass rate of task {place}: expected 0 to 1, or None, got {value!r}")
    low, high = target
    if not 0 <= low <= high <= 1:
        raise UsageError(f"target: expected two pass rates from 0 to 1, the lower first, got {target!r}")
    if not (math.isfinite(floor) and 0 < floor <= 1):
        raise UsageError(f"floor: expected above 0 and up to 1, got {floor!r}")
    if not 0 < rate <= 1:
        raise UsageError(f"rate: expected above 0 and up to 1, got {rate!r}")
