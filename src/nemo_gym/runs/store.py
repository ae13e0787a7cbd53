"""`RunStore`: reads the rows of a run from its files, while it goes on or after its end."""

from __future__ import annotations

import os
from array import array
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import groupby
from math import isclose
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from nemo_gym.runs.follow import follow_files
from nemo_gym.runs.journal import is_locked
from nemo_gym.runs.manifest import Manifest, load_manifest
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.rollout_rows import read_rollout
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode, open_regular
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.row_identity import KeyedLine, Mark, keyed_lines, line_at, read_stamp
from nemo_gym.wire.row_index import Place, RowIndex
from nemo_gym.wire.task import Row, named_agent

_FAILED_EARLY, _FAILED, _SCORED = 0, 1, 2
"""Ranks of rows: a failure in the rollouts file, one in the failures file, and a rollout that was scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rollouts of a run to read: those that meet every condition."""

    scored: bool = True
    """Take rollouts that were scored."""
    failed: bool = False
    """Take rollouts that failed and were not scored later, by their last failure."""
    reward: float | None = None
    """Of the scored rollouts, take those with this reward."""
    tasks: Container[int] | None = None
    repeats: Container[int] | None = None
    agent: str = ""
    """The name of an agent; empty takes all of them."""

    def has(self, place: Place) -> bool:
        """Whether a row meets the conditions, all but the agent's name."""
        if self.tasks is not None and place.task not in self.tasks:
            return False
        if self.repeats is not None and place.repeat not in self.repeats:
            return False
        if place.rank != _SCORED:
            return self.failed
        if self.reward is None:
            return self.scored
        return self.scored and place.reward is not None and isclose(place.reward, self.reward, abs_tol=1e-9)


SCORED: Final = Selection()
"""Every scored rollout."""
EVERY: Final = Selection(failed=True)
"""Every rollout: its score, else its last failure."""


class RunStore:
    """The rows of one run.

    Every (task, repeat) has one row here: its last scored row, else its last failure. The first call that
    looks for rows reads the files once and keeps an index of 37 bytes a row; later calls read only new rows.

    Any program may have written the rows. A line that is not a row of a run is a `DataError` that names the
    file and the line; a torn last line is no row.

    Args:
        output: the rollouts file of the run.

    Raises:
        UsageError: its name doesn't end in `.jsonl`.
    """

    def __init__(self, output: Path) -> None:
        self.paths = RunPaths.of(output)
        self._rollouts = _IndexedFiles((self.paths.rollouts, self.paths.failures), self._rank)
        self._plan = _IndexedFiles((self.paths.inputs,), lambda _: 0)

    @property
    def is_running(self) -> bool:
        """Whether a process writes to the run now."""
        return is_locked(self.paths.rollouts)

    def manifest(self) -> Manifest:
        """The manifest. A run that is recorded as running, and that no process writes to, was interrupted.

        Raises:
            UsageError: it is missing or not a manifest.
        """
        if not self.paths.manifest.exists():
            self.check_exists()
            raise UsageError(
                f"{self.paths.rollouts}: not a run: there is no {self.paths.manifest.name} beside it"
            )
        manifest = load_manifest(self.paths.manifest)
        if manifest.status == "running" and not self.is_running:
            manifest.status = "interrupted"
            manifest.reason = "its process ended without saying why"
        return manifest

    def rows(self, selection: Selection = EVERY) -> Iterator[KeyedLine]:
        """The rows of a selection as they are in their files, lazily, in the order of the files: first the
        rollouts file, then the failures file.

        Raises:
            UsageError: there is no such run.
            DataError: a line is not a row of a run.
        """
        index = self._indexed()
        by_file = {self.paths.rollouts: array("Q"), self.paths.failures: array("Q")}
        for at, place in enumerate(index):
            if selection.has(place):
                by_file[self._path(place)].append(at)
        for path, positions in by_file.items():
            places = (index[at] for at in sorted(positions, key=lambda at: index[at].offset))
            rows = self._rollouts.rows(path, places) if positions else ()
            yield from (row for row in rows if _is_of(row, selection.agent))

    def rollouts(self, selection: Selection = SCORED) -> Iterator[Rollout]:
        """The rows of a selection as rollouts.

        Raises:
            UsageError: there is no such run.
            DataError: a line is not a row of a run, or a part of it has another type.
        """
        return map(read_rollout, self.rows(selection))

    def groups(self, selection: Selection = SCORED, *, expand: bool = True) -> Iterator[list[Rollout]]:
        """The rollouts of a selection task by task, each list in the order of its repeats.

        Args:
            expand: as of `read_rollout`.

        Raises:
            UsageError: there is no such run.
            DataError: a line is not a row of a run, or a part of it has another type.
        """
        index = self._indexed()
        places = (place for place in index if self._takes(selection, place))
        for _, group in groupby(places, key=attrgetter("task")):
            rows = (self._rollouts.row(self._path(place), place) for place in group)
            yield [read_rollout(row, expand=expand) for row in rows]

    def row(self, task: int, repeat: int = 0) -> KeyedLine:
        """The row of one rollout.

        Raises:
            UsageError: there is no such run, or no such rollout in it.
        """
        place = self._indexed().find(task, repeat)
        if place is None:
            raise UsageError(f"{self.paths.rollouts} has no rollout of task {task}, repeat {repeat}")
        return self._rollouts.row(self._path(place), place)

    def rollout(self, task: int, repeat: int = 0) -> Rollout:
        """One rollout.

        Raises:
            UsageError: there is no such run, or no such rollout in it.
            DataError: a part of its row has another type.
        """
        return read_rollout(self.row(task, repeat))

    def sample(
        self, count: int, selection: Selection = SCORED, *, seed: int = 0
    ) -> tuple[list[KeyedLine], int]:
        """A random sample of a selection in order of task and repeat, and how many rows the selection has.
        The same seed gives the same sample.

        Raises:
            UsageError: there is no such run.
        """
        index = self._indexed()
        positions = array("Q", (at for at, place in enumerate(index) if self._takes(selection, place)))
        sample = sorted(Random(seed).sample(positions, min(count, len(positions))))
        return [self._rollouts.row(self._path(index[at]), index[at]) for at in sample], len(positions)

    def plan(self) -> Iterator[KeyedLine]:
        """The rows of the materialised inputs, lazily: the plan of the run.

        Raises:
            UsageError: the file is missing.
        """
        return keyed_lines(self.paths.inputs)

    def planned_row(self, task: int, repeat: int = 0) -> Row | None:
        """The row of one rollout in the plan; None where there is no such row."""
        if not self.paths.inputs.exists():
            return None
        place = self._plan.index().find(task, repeat)
        return None if place is None else decode(self._plan.row(self.paths.inputs, place).line)

    async def follow(
        self, *, problem: Callable[[DataError], None] | None = None, interval: float = 0.2
    ) -> AsyncGenerator[KeyedLine]:
        """Every row of the rollouts and the failures file as it comes, from the first on. It ends with the
        process that writes the run.

        All lines come, also several for one (task, repeat). Reading waits for the caller, so only a few rows
        are held at a time. Where a writer removes lines that it could not make durable, their rows may come
        again.

        Args:
            problem: called with the error of each line that is not a row, which is left out; None raises it.
            interval: seconds between two looks at files that have not grown.

        Raises:
            UsageError: there is no such run.
            DataError: a line is not a row of a run, and `problem` is None.
        """
        self.check_exists()
        files = (self.paths.rollouts, self.paths.failures)
        async for row in follow_files(files, lambda: self.is_running, interval=interval):
            if isinstance(row, KeyedLine):
                yield row
            elif problem is None:
                raise row
            else:
                problem(row)

    def _takes(self, selection: Selection, place: Place) -> bool:
        if not selection.has(place):
            return False
        return not selection.agent or _is_of(self._rollouts.row(self._path(place), place), selection.agent)

    def _rank(self, row: KeyedLine) -> int:
        if row.path == self.paths.failures:
            return _FAILED
        return _SCORED if row.stamp.failure_class is None else _FAILED_EARLY

    def _path(self, place: Place) -> Path:
        return self.paths.failures if place.rank == _FAILED else self.paths.rollouts

    def _indexed(self) -> RowIndex:
        self.check_exists()
        return self._rollouts.index()

    def check_exists(self) -> None:
        """Check that the run has a rollouts file.

        Raises:
            UsageError: it has none; the message names the nearest run.
        """
        if not self.paths.rollouts.exists():
            raise UsageError(
                f"{self.paths.rollouts}: there is no such run{_nearest_run(self.paths.rollouts)}"
            )


def _nearest_run(rollouts: Path) -> str:
    """A hint at the latest run of this name, with a time in its file name, or at one with a name like it."""
    ending = "_manifest.json"
    stems = sorted(path.name.removesuffix(ending) for path in rollouts.parent.glob(f"*{ending}"))
    near = [stem for stem in stems if stem.startswith(f"{rollouts.stem}_")][-1:]
    near = near or get_close_matches(rollouts.stem, stems, n=1)
    if near:
        return f". Did you mean '{rollouts.with_name(near[0])}.jsonl'?"
    return ". `gym runs list FOLDER` lists the runs in a folder"


class _IndexedFiles:
    """An index over files that may grow.

    Args:
        rank: the rank of a row, by which `RowIndex` chooses among several rows of one (task, repeat).
    """

    def __init__(self, paths: tuple[Path, ...], rank: Callable[[KeyedLine], int]) -> None:
        self._paths = paths
        self._rank = rank
        self._forget()

    def _forget(self) -> None:
        self._index = RowIndex()
        self._states = {path: _FileState() for path in self._paths}

    def index(self) -> RowIndex:
        """The index of the files as they are now; only their new rows are read."""
        sizes = {path: path.stat() for path in self._paths if path.exists()}
        if any(not self._states[path].precedes(status) for path, status in sizes.items()):
            self._forget()
        for path, status in sizes.items():
            state = self._states[path]
            if status.st_size > state.mark.bytes:
                state.file = status.st_ino
                try:
                    self._index = self._index.with_rows(self._new_rows(path, state))
                except BaseException:
                    self._forget()
                    raise
        return self._index

    def row(self, path: Path, place: Place) -> KeyedLine:
        """The row at a place.

        Raises:
            DataError: another row is there now.
        """
        return next(self.rows(path, [place]))

    def rows(self, path: Path, places: Iterable[Place]) -> Iterator[KeyedLine]:
        """The rows at places of one file, as of `row`."""
        with open_regular(path) as file:
            for place in places:
                line = line_at(file, place.offset)
                try:
                    stamp = read_stamp(line, path, place.number, is_checked=True)
                except DataError:
                    stamp = None
                if stamp is None or (stamp.task_index, stamp.rollout_index) != (place.task, place.repeat):
                    self._forget()
                    where = f"{path}:{place.number}"
                    raise DataError(f"{where}: the file was changed while it was read; read it again")
                yield KeyedLine(stamp, place.number, place.offset, line, path)

    def _new_rows(self, path: Path, state: _FileState) -> Iterator[tuple[KeyedLine, int]]:
        for row in keyed_lines(path, state.mark):
            if row.line.endswith(b"\n"):
                state.mark = Mark(row.number, row.offset + len(row.line))
            yield row, self._rank(row)


@dataclass(slots=True)
class _FileState:
    """How much of a file is in the index."""

    mark: Mark = field(default_factory=Mark)
    """After the last whole row."""
    file: int | None = None
    """The number of the file on its disk."""

    def precedes(self, status: os.stat_result) -> bool:
        """Whether the file is still the same one and has not become shorter."""
        return self.file in (None, status.st_ino) and status.st_size >= self.mark.bytes


def _is_of(row: KeyedLine, agent: str) -> bool:
    """Whether a row is of this agent; an empty name is any agent."""
    if not agent:
        return True
    try:
        return named_agent({keys.AGENT_REF: _agent_decoder.decode(row.line).agent_ref}) == agent
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{row.place}: not a row of a run: {error}") from None


class _AgentColumn(msgspec.Struct):
    agent_ref: Any = None


_agent_decoder: Final = msgspec.json.Decoder(_AgentColumn)
