"""Collates data sets: checks and counts their rows, and writes one file for each type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nemo_gym.datasets.metrics_file import (
    Document,
    conflict_path,
    differences,
    read_metrics,
    write_metrics,
)
from nemo_gym.datasets.statistics import Statistics
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.runs.paths import whole_file
from nemo_gym.runs.task_sources import Source, rows_of
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import encode


class MetricsConflict(GymError):
    """A data set differs from its metrics file."""


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of an agent."""

    type: str
    path: Path
    source: Source
    """The source of its rows."""
    facts: dict[str, Any]
    """Its fields in the configuration; its metrics begin with them."""

    @property
    def metrics(self) -> Path:
        """The path of its metrics."""
        return self.path.with_name(f"{self.path.stem}_metrics.json")

    @property
    def prepared(self) -> Path:
        """The path of its rows in the form that the agent receives."""
        return self.path.with_name(f"{self.path.stem}_prepare.jsonl")


@dataclass(frozen=True, slots=True)
class Collation:
    """The rows of all data sets of a type, in one file."""

    type: str
    path: Path
    rows: int
    """The number of rows in the file, with repeats."""
    refused: int
    """The number of lines that are not in the file."""


def collate(
    parts: Sequence[Part],
    folder: Path,
    *,
    refused: Callable[[Path, int, str], None],
    overwrite_conflicts: bool = False,
) -> list[Collation]:
    """Write `<stem>_prepare.jsonl` and `<stem>_metrics.json` beside every data set, and into the folder
    `<type>.jsonl` and `<type>_metrics.json` for every type: all of them, or none.

    Args:
        refused: called with file, line and problem of every invalid row.
        overwrite_conflicts: replace metrics that differ.

    Raises:
        MetricsConflict: metrics differ from those on disk; the new ones are in
        `<stem>_metrics_conflict.json`. UsageError: a line is not a JSON object, a data set has no valid row,
        or two data sets share a file.
    """
    types = list(dict.fromkeys(part.type for part in parts))
    _check_apart(parts, [folder / f"{type}.jsonl" for type in types])
    folder.mkdir(parents=True, exist_ok=True)
    metrics: dict[Path, Document] = {}
    collations: list[Collation] = []
    with ExitStack() as files:
        for type in types:
            path = folder / f"{type}.jsonl"
            type_file = files.enter_context(whole_file(path))
            total, invalid = Statistics(), 0
            mine = [part for part in parts if part.type == type]
            for part in mine:
                part_file = files.enter_context(whole_file(part.prepared))
                statistics, problems = _copy_rows(part, (part_file, type_file), refused)
                metrics[part.metrics] = {**part.facts, **statistics.figures()}
                total.merge(statistics)
                invalid += problems
            metrics[folder / f"{type}_metrics.json"] = {**mine[0].facts, **total.figures()}
            collations.append(Collation(type, path, total.examples, invalid))
        if not overwrite_conflicts:
            _refuse_conflicts(metrics)
    for path, document in metrics.items():
        write_metrics(path, document)
        conflict_path(path).unlink(missing_ok=True)
    return collations


def _copy_rows(
    part: Part, files: Iterable[BinaryIO], refused: Callable[[Path, int, str], None]
) -> tuple[Statistics, int]:
    """Write the rows of a data set to files, and return their statistics and the number of invalid rows."""
    statistics, problems = Statistics(), 0

    def refuse(line: int, problem: str) -> None:
        nonlocal problems
        problems += 1
        refused(part.path, line, problem)

    for row in rows_of(part.source, RemotePlaceholder(), on_problem=refuse):
        statistics.add(row, part.source.num_repeats)
        lines = (encode(row) + b"\n") * part.source.num_repeats
        for file in files:
            file.write(lines)
    if not statistics.examples:
        raise UsageError(f"{part.path}: there is no valid row in it")
    return statistics, problems


def _check_apart(parts: Sequence[Part], output_paths: Sequence[Path]) -> None:
    all_paths: set[Path] = {path.resolve() for path in output_paths}
    for part in parts:
        for path in (part.path, part.prepared, part.metrics):
            if path.resolve() in all_paths:
                what = f"{part.source.agent}: data set {part.facts['name']!r}"
                raise UsageError(
                    f"{what}: {path} would be written over: give each data set a file of its own, and choose "
                    "an output folder without these files"
                )
            all_paths.add(path.resolve())


def _refuse_conflicts(metrics: dict[Path, Document]) -> None:
    problems: list[str] = []
    for path, document in metrics.items():
        conflicts = differences(read_metrics(path), document)
        if conflicts:
            write_metrics(conflict_path(path), document)
            more = f" and {len(conflicts) - _MOST} more" if len(conflicts) > _MOST else ""
            problems.append(f"{path}: {'; '.join(conflicts[:_MOST])}{more}")
    if problems:
        raise MetricsConflict(
            "metrics differ from those on disk (the new ones are in *_metrics_conflict.json; "
            "+overwrite_metrics_conflicts=true replaces the old):\n  " + "\n  ".join(problems)
        )


_MOST = 5
"""The number of conflicts of each file in the message."""
