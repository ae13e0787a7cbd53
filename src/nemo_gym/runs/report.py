"""The figures of a run, read from its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.runs.environment_metrics import Additions
from nemo_gym.runs.ledger import Ledger
from nemo_gym.runs.manifest import Manifest
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.store import RunStore
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode, open_regular
from nemo_gym.wire.row_identity import MOST_REPEATS, Keys, journal_lines, repeated_key, whole_lines


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run and its figures."""

    paths: RunPaths
    manifest: Manifest
    summary: RunSummary
    key_metrics: dict[str, dict[str, Any]]
    """The key metrics of each agent, where there is a metrics file."""
    task_columns: frozenset[str] = frozenset()
    """Columns of the tasks, whose means have no meaning for the rollouts."""


class RunReader:
    """Reads a finished or unfinished run row by row.

    Args:
        output: its rollouts file.
        answer_key: the column with the extracted answer.
        own: adds the metrics of the environment itself.
        scale: the range of rewards; None takes that of the manifest.
        strict: refuse rows that have a key twice, as another program may write them.

    Raises:
        UsageError: there is no run at `output`, or one of its files can't be used.
        DataError: a rollout is there twice, or is not in the plan.
    """

    def __init__(
        self,
        output: Path,
        *,
        answer_key: str | None = None,
        own: Additions | None = None,
        scale: RewardScale | None = None,
        strict: bool = False,
    ) -> None:
        store = RunStore(output)
        paths = self._paths = store.paths
        manifest = self._manifest = store.manifest()
        self.metrics = MetricsAccumulator(answer_key=answer_key, own=own, scale=scale or manifest.scale)
        self._strict = strict
        self._task_columns = _first_columns(paths.inputs)
        planned = self._read(paths.inputs, self.metrics.plan)
        scored = self._read(paths.rollouts, self.metrics.add)
        if paths.inputs.exists() and (extra := scored.without(planned)):
            raise DataError(f"{paths.rollouts}: {extra.named()}: not among the rows of {paths.inputs}")
        self.metrics.expect(manifest.requested, failures_of(paths))

    def _read(self, path: Path, take: Callable[[bytes], tuple[int, int] | None]) -> Keys:
        """Pass every row of a file to `take`; the identities of the rows."""
        masks: dict[int, int] = {}
        number = 0
        try:
            for number, line in whole_lines(path):
                key = take(line)
                if self._strict and (twice := repeated_key(line)) is not None:
                    raise DataError(f"{path}:{number}: the key {twice!r} is there twice")
                if key is None:
                    continue
                task, repeat = key
                if not 0 <= repeat < MOST_REPEATS:
                    raise DataError(f"{path}:{number}: repeat {repeat} is out of range")
                mask, bit = masks.get(task, 0), 1 << repeat
                if mask & bit:
                    raise DataError(f"{path}:{number}: task {task}, repeat {repeat} is here a second time")
                masks[task] = mask | bit
        except DataError:
            raise
        except UsageError as error:
            _, _, problem = str(error).partition(": ")
            raise DataError(f"{path}:{number}: {problem.replace('$.', '')}") from None
        return Keys(masks)

    def write_metrics(self) -> None:
        """Write the metrics file.

        Raises:
            GymError: a hook raised, or the file can't be written.
        """
        self.metrics.write(self._paths.metrics)

    def report(self) -> RunReport:
        """The report of the run."""
        summary, key_metrics = self.metrics.summary(), self.metrics.key_metrics
        return RunReport(self._paths, self._manifest, summary, key_metrics, self._task_columns)


def report_on(output: Path) -> RunReport:
    """Read a finished or unfinished run.

    Raises:
        UsageError: there is no run at `output`.
    """
    report = RunReader(output, strict=True).report()
    return replace(report, key_metrics=_key_metrics(report.paths.metrics, report.summary.scored))


def failures_of(paths: RunPaths) -> Counter[str]:
    """Failed rollouts by the class of their last failure; one that was scored later doesn't count."""
    if not paths.failures.exists() or paths.failures.stat().st_size == 0:
        return Counter()
    return Ledger.read(paths.rollouts, paths.failures).failure_classes()


def first_failure(paths: RunPaths, classes: Container[str]) -> str:
    """The failure in the first row of the failures file that has one of these classes; empty without one."""
    for row in journal_lines(paths.failures):
        failure = row.stamp.failure_class
        if failure is not None and failure in classes:
            return f"{failure}: {decode(row.line).get(keys.FAILURE_ERROR)}"
    return ""


@dataclass(frozen=True, slots=True)
class RunListing:
    """A run in a list, read without its rows."""

    output: Path
    manifest: Manifest
    scored: int
    mean_reward: float | None
    """The mean in the metrics file, where that is about these rollouts."""


def runs_in(folder: Path) -> tuple[list[RunListing], list[str]]:
    """The runs whose files are in a folder, the latest first, and a line for each that can't be read.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    runs: list[RunListing] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*_manifest.json")):
        store = RunStore(path.with_name(path.name.removesuffix("_manifest.json") + ".jsonl"))
        paths = store.paths
        try:
            manifest = store.manifest()
            scored = sum(1 for _ in whole_lines(paths.rollouts))
        except UsageError as error:
            problems.append(str(error))
            continue
        runs.append(RunListing(paths.rollouts, manifest, scored, _mean_reward(paths.metrics, scored)))
    return sorted(runs, key=lambda run: run.manifest.started_at, reverse=True), problems


def _first_columns(inputs: Path) -> frozenset[str]:
    """The columns of the first task."""
    _, line = next(whole_lines(inputs), (0, b"{}"))
    try:
        return frozenset(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()


class _Named(msgspec.Struct):
    name: str


class _Agent(msgspec.Struct):
    """The parts of an agent's entry in a metrics file that are read."""

    agent_ref: _Named
    agent_metrics: dict[str, Any]
    key_metrics: dict[str, Any] = {}

    def figure(self, name: str) -> float:
        """A metric as a number; 0 where it is missing or something else."""
        value = self.agent_metrics.get(name, 0)
        return value if isinstance(value, int | float) else 0


def _key_metrics(path: Path, scored: int) -> dict[str, dict[str, Any]]:
    """The key metrics in a metrics file, by agent; none where it is missing or is not about these rows."""
    return {one.agent_ref.name: one.key_metrics for one in _agents(path, scored)}


def _mean_reward(path: Path, scored: int) -> float | None:
    """The mean reward over all agents in a metrics file, if it is about these rows."""
    means = [(one.figure("mean/reward"), one.figure("coverage/scored")) for one in _agents(path, scored)]
    total = sum(count for _, count in means)
    return sum(mean * count for mean, count in means) / total if total else None


def _agents(path: Path, scored: int) -> list[_Agent]:
    """The agents in a metrics file; none where it is not about this number of scored rollouts."""
    try:
        with open_regular(path) as file:
            agents = msgspec.json.decode(file.read(), type=list[_Agent])
    except (UsageError, ValueError, RecursionError):
        return []
    return agents if sum(one.figure("coverage/scored") for one in agents) == scored else []
