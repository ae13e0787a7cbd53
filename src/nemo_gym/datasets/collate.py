"""Collates data sets: checks and counts their rows and writes them together by type."""

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
    """How its rows are read."""
    facts: dict[str, Any]
    """Its fields in the configuration; its metrics begin with them."""

    @property
    def metrics(self) -> Path:
        """The path of its metrics."""
        return self.path.with_name(f"{self.path.stem}_metrics.json")

    @property
    def prepared(self) -> Path:
        """The path of its rows in the form that the agent gets."""
        return self.path.with_name(f"{self.path.stem}_prepare.jsonl")


@dataclass(frozen=True, slots=True)
class Collated:
    """All data sets of a type together."""

    type: str
    path: Path
    rows: int
    """The number of rows written, repeats included."""
    refused: int
    """The number of lines left out."""


def collate(
    parts: Sequence[Part],
    folder: Path,
    *,
    refused: Callable[[Path, int, str], None],
    overwrite_conflicts: bool = False,
) -> list[Collated]:
    """Write `<stem>_prepare.jsonl` and `<stem>_metrics.json` beside every data set, and into the folder
    `<type>.jsonl` and `<type>_metrics.json` for every type: all of them, or none.

    Args:
        refused: called with file, line and problem of every row that is left out.
        overwrite_conflicts: replace metrics that differ.

    Raises:
        MetricsConflict: they differ from those on disk; the new ones are in `<stem>_metrics_conflict.json`.
        UsageError: a line is no JSON object, a data set has no valid row, or files would be overwritten.
    """
    types = list(dict.fromkeys(part.type for part in parts))
    _check_apart(parts, [folder / f"{type}.jsonl" for type in types])
    folder.mkdir(parents=True, exist_ok=True)
    metrics: dict[Path, Document] = {}
    collations: list[Collated] = []
    with ExitStack() as files:
        for type in types:
            path = folder / f"{type}.jsonl"
            together = files.enter_context(whole_file(path))
            total, left_out = Statistics(), 0
            mine = [part for part in parts if part.type == type]
            for part in mine:
                prepared = files.enter_context(whole_file(part.prepared))
                counted, wrong = _pass(part, (prepared, together), refused)
                metrics[part.metrics] = {**part.facts, **counted.figures()}
                total.merge(counted)
                left_out += wrong
            metrics[folder / f"{type}_metrics.json"] = {**mine[0].facts, **total.figures()}
            collations.append(Collated(type, path, total.examples, left_out))
        if not overwrite_conflicts:
            _refuse_conflicts(metrics)
    for path, document in metrics.items():
        write_metrics(path, document)
        conflict_path(path).unlink(missing_ok=True)
    return collations


def _pass(
    part: Part, files: Iterable[BinaryIO], refused: Callable[[Path, int, str], None]
) -> tuple[Statistics, int]:
    """The figures of a data set, its rows written to files; and how many rows were left out."""
    counted, wrong = Statistics(), 0

    def refuse(line: int, problem: str) -> None:
        nonlocal wrong
        wrong += 1
        refused(part.path, line, problem)

    for row in rows_of(part.source, RemotePlaceholder(), on_problem=refuse):
        counted.add(row, part.source.num_repeats)
        lines = (encode(row) + b"\n") * part.source.num_repeats
        for file in files:
            file.write(lines)
    if not counted.examples:
        raise UsageError(f"{part.path}: there is no valid row in it")
    return counted, wrong


def _check_apart(parts: Sequence[Part], output_paths: Sequence[Path]) -> None:
    taken_paths: set[Path] = {path.resolve() for path in output_paths}
    for part in parts:
        for path in (part.path, part.prepared, part.metrics):
            if path.resolve() in taken_paths:
                what = f"{part.source.agent}: data set {part.facts['name']!r}"
                raise UsageError(
                    f"{what}: {path} would be written over: give each data set a file of its own, and "
                    "an output folder where they are not"
                )
            taken_paths.add(path.resolve())


def _refuse_conflicts(metrics: dict[Path, Document]) -> None:
    problems: list[str] = []
    for path, document in metrics.items():
        conflicts = differences(read_metrics(path), document)
        if conflicts:
            write_metrics(conflict_path(path), document)
            more = f" and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
            problems.append(f"{path}: {'; '.join(conflicts[:_SHOWN])}{more}")
    if problems:
        raise MetricsConflict(
            "metrics are not what they were (the new ones are in *_metrics_conflict.json; "
            "+overwrite_metrics_conflicts=true replaces the old):\n  " + "\n  ".join(problems)
        )


_SHOWN = 5
