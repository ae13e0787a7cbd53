"""What the rollouts of a run showed about tasks of Data Designer: by task, and by sampler value."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from nemo_gym.runs.store import EVERY, RunStore
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.stats.statistics import ClusteredMean
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import message_text
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row

Value: TypeAlias = str | int | float | bool
"""A value of a sampler."""

_ANSWER_KEYS: Final = ("extracted_answer", "extracted_model_code", "predicted_answer")
_EXPECTED_KEYS: Final = ("expected_answer", "expected", "answer", "ground_truth")
_METADATA: Final = ("metadata", keys.VERIFIER_METADATA)
"""Objects of a row in which columns of the data set are looked for."""
_MOST_TEXT: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """The rollouts of one task."""

    index: int
    values: Mapping[str, Value]
    """The values of the sampler columns."""
    scored: int
    solved: int
    failures: Counter[str]
    """Rollouts that did not solve the task, by what went wrong."""
    prompt: str = ""
    """The last message of the user."""
    expected: str = ""
    """The expected answer of the row."""
    wrong: str = ""
    """The most frequent answer that did not solve the task."""
    same_wrong: bool = False
    """Whether every rollout has that answer, and none solved the task."""
    suspect: bool = False
    """Whether the expected answer is suspected to be wrong."""

    @property
    def rate(self) -> float:
        """The share of scored rollouts that solved the task."""
        return self.solved / self.scored

    @property
    def spread(self) -> float:
        """4 r (1 - r) for the share r of solved rollouts: 0 where all rollouts are alike, 1 where half of
        them solve the task. It is the variance of the reward, which group-relative training learns from."""
        return 4 * self.rate * (1 - self.rate)

    @property
    def alike(self) -> bool:
        """Whether several rollouts were scored, and all of them solved the task or none did."""
        return self.scored > 1 and self.solved in (0, self.scored)


@dataclass(frozen=True, slots=True)
class GroupResult:
    """Some tasks together. Suspects count in nothing but `suspects`."""

    label: str
    tasks: Sequence[TaskResult]
    suspects: int = 0

    @property
    def rate(self) -> float:
        """The mean over tasks of the share of solved rollouts; 0 without tasks."""
        return sum(task.rate for task in self.tasks) / len(self.tasks) if self.tasks else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% confidence interval of the share of solved rollouts, with tasks as clusters."""
        mean = ClusteredMean(scale=RewardScale(0.0, 1.0))
        for task in self.tasks:
            for place in range(task.scored):
                mean.add(task.index, 1.0 if place < task.solved else 0.0)
        return mean.interval

    @property
    def rollouts(self) -> int:
        return sum(task.scored for task in self.tasks)

    @property
    def solved(self) -> int:
        return sum(task.solved for task in self.tasks)

    @property
    def spread(self) -> float:
        """The mean of `TaskResult.spread`."""
        return sum(task.spread for task in self.tasks) / len(self.tasks) if self.tasks else 0.0

    @property
    def never(self) -> int:
        """Tasks that no rollout solved, with several rollouts."""
        return sum(task.alike and task.solved == 0 for task in self.tasks)

    @property
    def always(self) -> int:
        """Tasks that every rollout solved, with several rollouts."""
        return sum(task.alike and task.solved > 0 for task in self.tasks)

    @property
    def failures(self) -> Counter[str]:
        return sum((task.failures for task in self.tasks), Counter[str]())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run, read."""

    run: Path
    environment: str = ""
    model: str = ""
    tasks: list[TaskResult] = field(default_factory=list[TaskResult])
    """Tasks with at least one scored rollout."""
    unscored: int = 0
    """Tasks whose rollouts all failed."""
    failed: int = 0
    """Rollouts that failed: they have no reward and count in no pass rate."""
    strong: bool = False
    """Whether the run solves enough for the search for wrong labels."""

    @property
    def subject(self) -> str:
        """The environment and the model, for people."""
        name = self.environment.rsplit("/", 1)[-1].removesuffix(".py")
        return " · ".join(part for part in (name, self.model) if part)

    def group(
        self, condition: Callable[[TaskResult], bool] = lambda _: True, label: str = "all"
    ) -> GroupResult:
        """The tasks that meet a condition."""
        return _group(label, [task for task in self.tasks if condition(task)])

    def by_value(
        self, column: str, condition: Callable[[TaskResult], bool] = lambda _: True
    ) -> dict[str, GroupResult]:
        """The tasks of each value of a column, by the text of the value, the weakest first."""
        tasks = defaultdict[str, list[TaskResult]](list)
        for task in self.tasks:
            if column in task.values and condition(task):
                tasks[text_of(task.values[column])].append(task)
        groups = [_group(name, tasks[name]) for name in sorted(tasks)]
        return {one.label: one for one in sorted(groups, key=lambda one: one.rate) if one.tasks}

    @property
    def columns(self) -> list[str]:
        """The sampler columns that any task has."""
        return list(dict.fromkeys(name for task in self.tasks for name in task.values))

    @property
    def suspects(self) -> list[TaskResult]:
        return [task for task in self.tasks if task.suspect]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspicionRule:
    """A label is suspected where at least `least_rollouts` rollouts of the task were scored, none of them
    solved it, all have the same answer, and the mean pass rate of the other tasks is `strong` or more: of all
    of them, and of those with the same value of a sampler, where there are at least 3. So a value that the
    model can't do has no suspects."""

    least_rollouts: int = 3
    strong: float = 0.5


def read_evidence(
    run: Path, columns: Sequence[str], *, answer_key: str = "", rule: SuspicionRule | None = None
) -> Evidence:
    """What the rollouts of a run showed.

    A column's value is looked for in `data_designer.columns`, then at the top of a row, where the verifier
    may have a field with the same name, and then in `metadata` and `verifier_metadata`.

    Args:
        run: the rollouts file.
        columns: the sampler columns to look for.
        answer_key: the column with the extracted answer; empty tries the usual names, then the final text.
        rule: when a label is suspected.

    Raises:
        UsageError: there is no such run, no rollout was scored, or no row has any of the columns.
        DataError: a line is not a row of a run.
    """
    rule = rule or SuspicionRule()
    store = RunStore(run)
    scale, environment, model = UNKNOWN_SCALE, "", ""
    if store.paths.manifest.exists():
        manifest = store.manifest()
        scale, environment = manifest.scale, manifest.environment_name
        named = manifest.identity.model
        model = str(named.get("name") or named.get("type") or "")
    reader = _Reader(columns, answer_key, scale)
    tasks: list[TaskResult] = []
    unscored = failed = 0
    for group in store.groups(EVERY, expand=False):
        failed += sum(rollout.failure is not None for rollout in group)
        if any(rollout.failure is None for rollout in group):
            tasks.append(reader.task(group))
        else:
            unscored += 1
    if not tasks:
        raise UsageError(f"{run}: no rollout was scored, so there is nothing to learn from")
    if columns and not any(task.values for task in tasks):
        raise UsageError(
            f"{run}: no row has a sampler column of the configuration ({', '.join(columns)}): keep "
            "them beside the task, at the top of the row or in its metadata"
        )
    evidence = Evidence(
        run=run, environment=environment, model=model, tasks=tasks, unscored=unscored, failed=failed
    )
    return _with_suspects(evidence, rule)


def text_of(value: Value) -> str:
    """The text by which values are compared: 3, 3.0 and "3" are the same value, and so are 1 and true."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    return str(value)


def has_value(task: TaskResult, column: str, name: str) -> bool:
    """Whether the task has this value of the column."""
    return column in task.values and text_of(task.values[column]) == name


def _group(label: str, tasks: Sequence[TaskResult]) -> GroupResult:
    trusted = [task for task in tasks if not task.suspect]
    return GroupResult(label, trusted, len(tasks) - len(trusted))


def _with_suspects(evidence: Evidence, rule: SuspicionRule) -> Evidence:
    """The evidence with its suspects marked. A candidate counts as unsolved for the others."""
    totals, counts = defaultdict[tuple[str, str], float](float), Counter[tuple[str, str]]()
    for task in evidence.tasks:
        for place in _places(task):
            totals[place] += task.rate
            counts[place] += 1

    def is_suspect(task: TaskResult) -> bool:
        if not task.same_wrong or task.scored < rule.least_rollouts or len(evidence.tasks) < 2:
            return False
        peers = [place for place in _places(task) if counts[place] > _FEW or place == _ALL]
        return all(totals[place] / (counts[place] - 1) >= rule.strong for place in peers)

    tasks = [replace(task, suspect=is_suspect(task)) for task in evidence.tasks]
    strong = totals[_ALL] / counts[_ALL] >= rule.strong
    return replace(evidence, tasks=tasks, strong=strong)


_ALL: Final = ("", "")
_FEW: Final = 3
"""With fewer other tasks a value's pass rate says nothing."""


def _places(task: TaskResult) -> list[tuple[str, str]]:
    """All tasks together, and the values of the task."""
    return [_ALL, *((name, text_of(value)) for name, value in task.values.items())]


@dataclass(frozen=True, slots=True)
class _Reader:
    columns: Sequence[str]
    answer_key: str
    scale: RewardScale

    def task(self, group: Sequence[Rollout]) -> TaskResult:
        row = group[0].row
        scored = [rollout for rollout in group if rollout.failure is None]
        solved = [rollout for rollout in scored if self._solves(rollout)]
        lost = [rollout for rollout in scored if not self._solves(rollout)]
        failures = Counter(self._kind(rollout) for rollout in group if rollout not in solved)
        wrong = Counter(answer for rollout in lost if (answer := self._answer(rollout)))
        common, count = wrong.most_common(1)[0] if wrong else ("", 0)
        return TaskResult(
            index=group[0].task_index,
            values={name: value for name in self.columns if (value := column_value(row, name)) is not None},
            scored=len(scored),
            solved=len(solved),
            failures=failures,
            prompt=prompt_of(row)[:_MOST_TEXT],
            expected=_expected(row)[:_MOST_TEXT],
            wrong=common[:_MOST_TEXT],
            same_wrong=not solved and count == len(scored),
        )

    def _solves(self, rollout: Rollout) -> bool:
        return (rollout.reward or 0.0) >= self.scale.solved_at - self.scale.slack

    def _kind(self, rollout: Rollout) -> str:
        if rollout.failure is not None:
            return f"failed: {rollout.failure.failure_class}"
        if rollout.outcome != "completed":
            return f"stopped: {rollout.outcome.replace('_', ' ')}"
        if not self._answer(rollout):
            return "no answer"
        return "partial reward" if (rollout.reward or 0.0) > self.scale.low else "wrong answer"

    def _answer(self, rollout: Rollout) -> str:
        names = (self.answer_key,) if self.answer_key else _ANSWER_KEYS
        for name in names:
            if name in rollout.row:
                answer = rollout.row[name]
                return "" if answer is None else " ".join(str(answer).split())
        return "" if rollout.response is None else " ".join(rollout.response.final_text.split())


def column_value(row: Row, column: str) -> Value | None:
    """The value of a column of the data set in a task row; None where there is none."""
    places = (object_of(object_of(row.get("data_designer")).get("columns")), row)
    for place in (*places, *(object_of(row.get(name)) for name in _METADATA)):
        value = place.get(column)
        if isinstance(value, str | int | float | bool):
            return value
    return None


def prompt_of(row: Row) -> str:
    """The last message of the user in a task."""
    params = cast("dict[str, Any]", row.get(keys.PARAMS) or {})
    prompt: Any = params.get("input", "")
    if isinstance(prompt, str):
        return prompt
    messages = [item for item in cast("list[Any]", prompt) if _is_user(item)]
    if not messages:
        return ""
    content = messages[-1].get("content")
    return content if isinstance(content, str) else message_text(messages[-1])


def _is_user(item: Any) -> bool:
    return isinstance(item, dict) and cast("dict[str, Any]", item).get("role") == "user"


def _expected(row: Row) -> str:
    places: Iterable[Any] = (row, row.get(keys.VERIFIER_METADATA))
    for place in places:
        if isinstance(place, dict):
            fields = cast("Row", place)
            for name in _EXPECTED_KEYS:
                if isinstance(fields.get(name), str | int | float):
                    return str(fields[name])
    return ""
