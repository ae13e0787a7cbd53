"""`Mixture`: tasks of several sources, each with its share, and one flow of groups from all of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.flow import GroupFlow, Observes
from nemo_gym.wire.errors import UsageError

T = TypeVar("T")
Drawn = TypeVar("Drawn", covariant=True)


@runtime_checkable
class TaskSource(Protocol[Drawn]):
    """An endless source of tasks whose state can be saved, such as `Shuffled`, `Curriculum` and `Mixture`."""

    def __next__(self) -> Drawn: ...

    def state(self) -> dict[str, Any]:
        """The state, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


class Collects(Protocol):
    """What is used of `Rollouts`."""

    @property
    def version(self) -> int: ...

    async def collect(self, tasks: list[Any], *, repeats: int) -> list[CollectedRollout]: ...


class Shuffled(Generic[T]):
    """The tasks of a list again and again, each time in a new order that follows from the seed.

    Raises:
        UsageError: there are no tasks.
    """

    def __init__(self, tasks: Sequence[T], *, seed: int | str = 0) -> None:
        if not tasks:
            raise UsageError("a source of tasks is empty")
        self._tasks = tasks
        self._seed = seed
        self._begin(0)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._place == len(self._order):
            self._begin(self._epoch + 1)
        self._place += 1
        return self._tasks[self._order[self._place - 1]]

    def state(self) -> dict[str, Any]:
        """The state, as JSON."""
        return {"tasks": len(self._tasks), "epoch": self._epoch, "place": self._place}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            UsageError: it is the state of another number of tasks.
        """
        if state["tasks"] != len(self._tasks):
            raise UsageError(f"the state is of {state['tasks']} tasks, and there are {len(self._tasks)}")
        self._begin(state["epoch"])
        self._place = state["place"]

    def _begin(self, epoch: int) -> None:
        self._epoch, self._place = epoch, 0
        self._order = list(range(len(self._tasks)))
        random.Random(f"{self._seed}:{epoch}").shuffle(self._order)


class MixedTask(NamedTuple):
    """A task and the name of its source."""

    source: str
    task: Any


class Mixture:
    """An endless order of the tasks of several sources.

    After every task, the number of tasks that were drawn from a source since the weights were set is less
    than 1 away from its share of all of them. This is the algorithm of R. Tijdeman, "The chairman assignment
    problem", Discrete Mathematics 32 (1980): with `k` sources, those take part whose share is ahead of their
    tasks by `1/(2k-2)` or more, and of them the one comes next that would be the first to fall behind by
    `1 - 1/(2k-2)`. The same sources, weights and seed give the same order.

    Args:
        sources: the tasks of each source, a list or a `TaskSource`, and its weight. Weights need not add up
            to 1; a source of weight 0 is not drawn from.
        seed: fixes the order of the tasks of a list.

    Raises:
        UsageError: a source or a weight is wrong.
    """

    def __init__(
        self, sources: Mapping[str, tuple[Sequence[Any] | TaskSource[Any], float]], *, seed: int = 0
    ) -> None:
        self._sources = {name: _source(name, tasks, seed) for name, (tasks, _) in sources.items()}
        self.drawn = dict.fromkeys(self._sources, 0)
        """How many tasks were drawn from each source."""
        self.weights = {name: weight for name, (_, weight) in sources.items()}

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each source. They may be set at any time; the shares are counted from then on."""
        return dict(self._weights)

    @weights.setter
    def weights(self, weights: Mapping[str, float]) -> None:
        if weights.keys() != self._sources.keys():
            raise UsageError(f"a mixture of {', '.join(self._sources)}: expected a weight for each of them")
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"source {name}: expected a weight of 0 or more, got {weight!r}")
        total = sum(map(Fraction, weights.values()))
        if not total:
            raise UsageError("a mixture needs a source with a weight above 0")
        self._weights = dict(weights)
        self._shares = {name: Fraction(weight) / total for name, weight in weights.items() if weight}
        self._drawn = dict.fromkeys(self._sources, 0)

    def __iter__(self) -> Iterator[MixedTask]:
        return self

    def __next__(self) -> MixedTask:
        name = self._next_source()
        task = MixedTask(name, next(self._sources[name]))
        self._drawn[name] += 1
        self.drawn[name] += 1
        return task

    def observe(self, task: MixedTask, rollouts: Sequence[CollectedRollout]) -> None:
        """Hand a group to the source of its task, if that one learns from groups."""
        source = self._sources[task.source]
        if isinstance(source, Observes):
            cast("Observes[Any]", source).observe(task.task, rollouts)

    def flow(
        self,
        rollouts: Mapping[str, Collects],
        *,
        repeats: int,
        in_flight: int,
        first: Iterable[Sequence[Any]] = (),
        **options: Any,
    ) -> GroupFlow[MixedTask]:
        """One flow of the groups of all sources; `group.task.source` names a group's source.

        Args:
            rollouts: what collects the tasks of each source: an open `Rollouts` for each environment, all
                with the same policy and in the same event loop.
            first: tasks that come before all others, such as `pending` of an earlier flow, also after it was
                written and read as JSON.
            options: as of `GroupFlow`.

        Raises:
            UsageError: a source has no rollouts.
        """
        if missing := sorted(self._sources.keys() - rollouts.keys()):
            raise UsageError(f"nothing collects the tasks of {', '.join(missing)}")

        async def collect(task: MixedTask) -> list[CollectedRollout]:
            return await rollouts[task.source].collect([task.task], repeats=repeats)

        return GroupFlow(
            collect,
            self,
            in_flight=in_flight,
            version=lambda: max(one.version for one in rollouts.values()),
            source=lambda task: task.source,
            first=[MixedTask(*one) for one in first],
            **options,
        )

    def state(self) -> dict[str, Any]:
        """The state of the mixture and of its sources, as JSON."""
        return {
            "weights": self.weights,
            "drawn_since_weights": dict(self._drawn),
            "drawn": dict(self.drawn),
            "sources": {name: source.state() for name, source in self._sources.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, with its weights.

        Raises:
            UsageError: it is the state of other sources.
        """
        self.weights = state["weights"]
        self._drawn, self.drawn = dict(state["drawn_since_weights"]), dict(state["drawn"])
        for name, source in self._sources.items():
            source.restore(state["sources"][name])

    def _next_source(self) -> str:
        shares = self._shares
        if len(shares) == 1:
            return next(iter(shares))
        number = sum(self._drawn.values()) + 1
        margin = Fraction(1, 2 * len(shares) - 2)
        ahead = {name: share * number - self._drawn[name] for name, share in shares.items()}
        ready = [name for name, value in ahead.items() if value >= margin]
        return min(ready, key=lambda name: (1 - margin - ahead[name]) / shares[name])


def _source(name: str, tasks: Sequence[Any] | TaskSource[Any], seed: int) -> TaskSource[Any]:
    if isinstance(tasks, TaskSource):
        return tasks
    if isinstance(cast("object", tasks), Sequence) and not isinstance(tasks, str):
        if not tasks:
            raise UsageError(f"source {name} has no tasks")
        return Shuffled(tasks, seed=f"{seed}:{name}")
    raise UsageError(f"source {name}: expected a list of tasks, or an object with state and restore")
