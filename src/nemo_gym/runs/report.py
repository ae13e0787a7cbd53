"""What a run came to, read from its files: the same for a run that has just ended and one found on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from math import isclose
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec

from nemo_gym.runs.environment_metrics import Additions
from nemo_gym.runs.journal import is_locked
from nemo_gym.runs.ledger import Ledger, stamped_lines
from nemo_gym.runs.manifest import Manifest, load_manifest
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.runs.paths import RunPaths
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode, open_regular
from nemo_gym.wire.params import check_params
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.row_identity import MOST_REPEATS, Keys, keyed_lines, read_stamp, repeated_key
from nemo_gym.wire.validation import read_response


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run and its figures."""

    paths: RunPaths
    manifest: Manifest
    summary: RunSummary
    key_metrics: dict[str, dict[str, Any]]
    """The metrics of each agent to look at first, where a metrics file was written."""
    task_columns: frozenset[str] = frozenset()
    """Columns of the tasks themselves, whose means say nothing about the rollouts."""


class Reading:
    """A finished or unfinished run, read back row by row.

    Args:
        output: its rollouts file.
        answer_key: the column with the extracted answer.
        own: adds the environment's own metrics.
        scale: what rewards can be; None takes what the manifest says.
        strict: whether keys that a row has twice are looked for: other programs may have written it.

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
        paths = self._paths = RunPaths.of(output)
        manifest = load_manifest(paths.manifest)
        self._manifest = _as_it_stands(manifest, paths)
        self.metrics = MetricsAccumulator(answer_key=answer_key, own=own, scale=scale or manifest.scale)
        self._strict = strict
        self._task_columns = _columns(paths.inputs)
        planned = self._taken(paths.inputs, self.metrics.plan)
        scored = self._taken(paths.rollouts, self.metrics.add)
        if paths.inputs.exists() and (extra := scored.without(planned)):
            raise DataError(f"{paths.rollouts}: {extra.named()}: not among the rows of {paths.inputs}")
        self.metrics.expect(manifest.requested, failures_of(paths))

    def _taken(self, path: Path, take: Callable[[bytes], tuple[int, int] | None]) -> Keys:
        """Have every row of a file taken in; which there are."""
        masks: dict[int, int] = {}
        number = 0
        try:
            for number, line in enumerate(_whole_lines(path), start=1):
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

    def report(self, *, write_metrics: bool) -> RunReport:
        """What it came to.

        Raises:
            GymError: a hook raised.
        """
        if write_metrics:
            self.metrics.write(self._paths.metrics)
        summary, key_metrics = self.metrics.summary(), self.metrics.key_metrics
        return RunReport(self._paths, self._manifest, summary, key_metrics, self._task_columns)


def report_on(output: Path) -> RunReport:
    """Read a finished or unfinished run.

    Raises:
        UsageError: there is no run at `output`.
    """
    report = Reading(output, strict=True).report(write_metrics=False)
    return replace(report, key_metrics=_written_metrics(report.paths.metrics, report.summary.scored))


def _as_it_stands(manifest: Manifest, paths: RunPaths) -> Manifest:
    """The manifest; a run that says it is going on, and that no process writes to, was interrupted."""
    if manifest.status == "running" and not is_locked(paths.rollouts):
        manifest.status = "interrupted"
        manifest.reason = "its process ended without saying why"
    return manifest


def failures_of(paths: RunPaths) -> Counter[str]:
    """Failed rollouts by the class of their last failure; one that was scored later doesn't count."""
    if not paths.failures.exists() or paths.failures.stat().st_size == 0:
        return Counter()
    return Ledger.read(paths.rollouts, paths.failures).failure_classes()


def first_failure(paths: RunPaths, classes: Container[str]) -> str:
    """What went wrong in the first row of the failures file that is of these classes; empty without one."""
    for _, line in stamped_lines(paths.failures):
        row = decode(line)
        if row.get(keys.FAILURE_CLASS) not in classes:
            continue
        return f"{row.get(keys.FAILURE_CLASS)}: {row.get(keys.FAILURE_ERROR)}"
    return ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A run as it is listed, read without its rows."""

    output: Path
    manifest: Manifest
    scored: int
    mean_reward: float | None
    """Of the metrics file, where that is about these rollouts."""


def runs_in(folder: Path) -> tuple[list[Listed], list[str]]:
    """The runs whose files lie in a folder, the latest first, and a line for each that can't be read.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    runs: list[Listed] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*_manifest.json")):
        paths = RunPaths.of(path.with_name(path.name.removesuffix("_manifest.json") + ".jsonl"))
        try:
            manifest = _as_it_stands(load_manifest(path), paths)
            scored = sum(1 for _ in _whole_lines(paths.rollouts))
        except UsageError as error:
            problems.append(str(error))
            continue
        runs.append(Listed(paths.rollouts, manifest, scored, _written_mean(paths.metrics, scored)))
    return sorted(runs, key=lambda run: run.manifest.started_at, reverse=True), problems


def _whole_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with open_regular(path) as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _columns(inputs: Path) -> frozenset[str]:
    """The columns of the first task."""
    first = next(_whole_lines(inputs), b"{}")
    try:
        return frozenset(msgspec.json.decode(first, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()


def sample_rollouts(
    output: Path, *, failed: bool = False, reward: float | None = None, count: int, seed: int = 0
) -> tuple[list[Rollout], int]:
    """Rollouts of a run drawn at random, the same ones each time, and how many there were to draw from.

    Args:
        failed: those that failed and were not scored since, by their last failure.
        reward: those with this reward. With both, rollouts of either kind; with neither, all scored ones.

    Raises:
        UsageError: there is no such run.
    """
    paths = RunPaths.of(output)
    if not paths.rollouts.exists():
        raise UsageError(f"{paths.rollouts}: there is no such run")
    scored: dict[tuple[int, int], bool] = {}
    places: dict[tuple[int, int], tuple[Path, int]] = {}
    for row in keyed_lines(paths.rollouts):
        key, found = (row.stamp.task_index, row.stamp.rollout_index), row.stamp.reward
        scored[key] = True
        if (not failed and reward is None) or (
            reward is not None and found is not None and isclose(found, reward, abs_tol=1e-9)
        ):
            places[key] = (paths.rollouts, row.offset)
    for row in keyed_lines(paths.failures) if failed and paths.failures.exists() else ():
        key = (row.stamp.task_index, row.stamp.rollout_index)
        if key not in scored:
            places[key] = (paths.failures, row.offset)
    drawn = sorted(Random(seed).sample(sorted(places), min(count, len(places))))
    return [_rollout_at(*places[key]) for key in drawn], len(places)


def _rollout_at(path: Path, offset: int) -> Rollout:
    with path.open("rb") as file:
        file.seek(offset)
        return _read_rollout(file.readline(), path)


def _read_rollout(line: bytes, path: Path) -> Rollout:
    """The rollout in a line that may have been written by anything.

    Raises:
        DataError: it is not one.
    """
    try:
        row = decode(line)
        msgspec.convert(row, _Shown)
        check_params(row.get(keys.PARAMS))
        if row.get(keys.RESPONSE) is not None:
            row[keys.RESPONSE] = _shown_response(row[keys.RESPONSE])
    except (msgspec.DecodeError, ValueError, RecursionError, UsageError) as error:
        where = read_stamp(line, path, 0)
        name = f"task {where.task_index}, repeat {where.rollout_index}"
        raise DataError(f"{path}: {name} can't be shown: {str(error).replace('$.', '')}") from None
    return Rollout.from_row(row)


def find_rollout(output: Path, task: int, repeat: int) -> Rollout:
    """One rollout of a run, from the rollouts file, else its last failure.

    Raises:
        UsageError: the run has no such rollout yet.
    """
    paths = RunPaths.of(output)
    found: Rollout | None = None
    for path in (paths.rollouts, paths.failures):
        for stamp, line in stamped_lines(path):
            if (stamp.task_index, stamp.rollout_index) == (task, repeat):
                found = _read_rollout(line, path)
        if found is not None:
            return found
    if not paths.rollouts.exists():
        raise UsageError(f"{paths.rollouts}: there is no such run")
    raise UsageError(f"{paths.rollouts} has no rollout of task {task}, repeat {repeat}")


def _shown_response(data: Any) -> Any:
    """The response, whose items of the kinds that are shown part by part are well-formed.

    Raises:
        ValueError: they are not.
    """
    if not isinstance(data, dict) or not isinstance(data.get("output"), list):  # pyright: ignore
        return read_response(cast("object", data)).data
    fields = cast("dict[str, Any]", data)
    items = cast("list[Any]", fields["output"])
    kinds = [
        cast("dict[str, Any]", item).get("type", "message") if isinstance(item, dict) else ""
        for item in items
    ]
    if not all(isinstance(kind, str) for kind in kinds):
        raise ValueError("response.output: an item's type is not text")
    parted = [item for item, kind in zip(items, kinds, strict=True) if not kind or kind in _PARTED]
    return {**fields, "usage": read_response({**fields, "output": parted}).usage}


_PARTED = ("message", "reasoning", "function_call", "function_call_output")
_SHOWN_KEYS = {
    "outcome": keys.OUTCOME,
    "timing": keys.TIMING,
    "reward_components": keys.REWARD_COMPONENTS,
    "tool_calls": keys.TOOL_CALLS,
    "attempt_index": keys.ATTEMPT_INDEX,
}


class _Shown(msgspec.Struct, rename=_SHOWN_KEYS):
    """What of a row has to be right before it is shown."""

    outcome: str = ""
    timing: dict[str, float] = {}
    reward_components: dict[str, float] | None = None
    tool_calls: dict[str, dict[str, Any]] | None = None
    attempt_index: int = 0


class _Named(msgspec.Struct):
    name: str


class _Written(msgspec.Struct):
    """What of one agent is read back from a metrics file."""

    agent_ref: _Named
    agent_metrics: dict[str, Any]
    key_metrics: dict[str, Any] = {}

    def figure(self, name: str) -> float:
        """A metric as a number; 0 where it is missing or something else."""
        value = self.agent_metrics.get(name, 0)
        return value if isinstance(value, int | float) else 0


def _written_metrics(path: Path, scored: int) -> dict[str, dict[str, Any]]:
    """The key metrics in a metrics file, by agent; none where it is missing or is not about these rows."""
    return {one.agent_ref.name: one.key_metrics for one in _written(path, scored)}


def _written_mean(path: Path, scored: int) -> float | None:
    """The mean reward over all agents in a metrics file, if it is about these rows."""
    found = [(one.figure("mean/reward"), one.figure("coverage/scored")) for one in _written(path, scored)]
    total = sum(count for _, count in found)
    return sum(mean * count for mean, count in found) / total if total else None


def _written(path: Path, scored: int) -> list[_Written]:
    try:
        with open_regular(path) as file:
            found = msgspec.json.decode(file.read(), type=list[_Written])
    except (UsageError, ValueError, RecursionError):
        return []
    return found if sum(one.figure("coverage/scored") for one in found) == scored else []
