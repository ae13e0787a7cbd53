"""Prepares the files of benchmarks, with each `prepare` function in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from nemo_gym.config.datasets import Dataset
from nemo_gym.config.instances import Instance
from nemo_gym.config.sources import find_file
from nemo_gym.datasets.benchmark_rows import LOCK, read_lock
from nemo_gym.datasets.prepare_child import Request
from nemo_gym.support.processes import Ended, run_program
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import read_rows


class PrepareSettings(msgspec.Struct, frozen=True):
    """The settings, named as the keys of a configuration."""

    use_cached_prepared_benchmarks: bool = False
    """Whether existing files are used."""
    num_prepare_benchmark_processes: Annotated[int, msgspec.Meta(ge=1)] = 1
    prepare_script_args: dict[str, Any] = {}
    """The arguments of every `prepare`."""


class PreparedBenchmark(msgspec.Struct, frozen=True):
    """A benchmark whose file exists."""

    name: str
    path: str
    rows: int
    cached: bool
    """Whether the file existed before."""
    origin: str = ""
    """The data set on the hub, its revision and its licence; empty for other data."""


@dataclass(frozen=True, slots=True)
class _Benchmark:
    name: str
    script: Path
    targets: frozenset[Path]
    """The possible paths of its file: one in each of the roots."""
    file: Path | None
    """The existing file; None without one."""


async def prepare_benchmarks(
    agents: Sequence[Instance], roots: Sequence[Path], settings: PrepareSettings
) -> list[PreparedBenchmark]:
    """Run the `prepare` of every benchmark of the agents once.

    Raises:
        UsageError: there is no benchmark, or a script is missing.
        GymError: benchmarks failed; the message names them. The others are prepared all the same.
    """
    benchmarks = _benchmarks(agents, roots)
    turn = asyncio.Semaphore(settings.num_prepare_benchmark_processes)
    calls = [_prepare(benchmark, roots, settings, turn) for benchmark in benchmarks]
    results = await asyncio.gather(*calls, return_exceptions=True)
    problems = [result for result in results if isinstance(result, BaseException)]
    for problem in problems:
        if not isinstance(problem, GymError):
            raise problem
    if problems:
        raise GymError("\n  ".join(str(problem) for problem in problems))
    return [result for result in results if isinstance(result, PreparedBenchmark)]


def _benchmarks(agents: Sequence[Instance], roots: Sequence[Path]) -> list[_Benchmark]:
    datasets = [dataset for agent in agents for dataset in agent.datasets if dataset.type == "benchmark"]
    if not datasets:
        raise UsageError("no benchmark in the configuration: name one, or give a file").about(
            "benchmark", "config"
        )
    return [_benchmark(dataset, roots) for dataset in {one.jsonl_fpath: one for one in datasets}.values()]


def _benchmark(dataset: Dataset, roots: Sequence[Path]) -> _Benchmark:
    script_name = dataset.prepare_script or ""
    script = find_file(script_name, roots)
    if script is None:
        raise UsageError(f"{dataset.name}: there is no prepare_script {script_name!r}")
    targets = frozenset((root / dataset.jsonl_fpath).resolve() for root in roots)
    return _Benchmark(dataset.name, script, targets, find_file(dataset.jsonl_fpath, roots))


async def _prepare(
    benchmark: _Benchmark, roots: Sequence[Path], settings: PrepareSettings, turn: asyncio.Semaphore
) -> PreparedBenchmark:
    if benchmark.file is not None and settings.use_cached_prepared_benchmarks:
        return _prepared(benchmark.name, benchmark.file, cached=True)
    request = Request(str(benchmark.script), settings.prepare_script_args, [str(root) for root in roots])
    async with turn:
        process = await run_program(
            [sys.executable, "-P", "-m", "nemo_gym.datasets.prepare_child"],
            folder=Path.cwd(),
            env=os.environ,
            seconds=_LONGEST_S,
            stdin=msgspec.json.encode(request),
        )
    return _prepared(benchmark.name, _result_path(benchmark, process), cached=False)


def _prepared(name: str, path: Path, *, cached: bool) -> PreparedBenchmark:
    lock = read_lock(path.parent.parent / LOCK)
    return PreparedBenchmark(name, str(path), _count(path), cached, lock.origin if lock else "")


def _result_path(benchmark: _Benchmark, process: Ended) -> Path:
    """The path that `prepare` returned.

    Raises:
        GymError: it failed, or returned another path than that of the configuration.
    """
    where = f"{benchmark.name}: {benchmark.script}"
    if process.exit_code != 0:
        how = "ran out of time" if process.exit_code is None else "failed"
        lines = "".join(f"\n  | {line}" for line in process.stderr.splitlines()[-_MOST_LINES:])
        raise GymError(f"{where} {how} after {process.seconds:.0f} s:{lines}")
    path = Path(process.stdout)
    if path.resolve() not in benchmark.targets:
        targets = " or ".join(sorted(map(str, benchmark.targets)))
        raise GymError(f"{where}: prepare() returned {path}, but jsonl_fpath says {targets}")
    if not path.is_file():
        raise GymError(f"{where}: prepare() returned {path}, and there is no such file")
    return path


def _count(path: Path) -> int:
    """The number of rows of a file.

    Raises:
        DataError: a line is not a JSON object.
        GymError: the file has no rows.
    """
    rows = sum(1 for _ in read_rows(path))
    if not rows:
        raise GymError(f"{path} has no rows")
    return rows


_LONGEST_S: Final = 86400.0
_MOST_LINES: Final = 20
"""The number of lines of a failed script's output in the message."""
