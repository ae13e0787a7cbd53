"""Makes the files of benchmarks by running each `prepare` in a process of its own."""

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
from nemo_gym.datasets.prepare_child import Request
from nemo_gym.support.processes import Ended, run_program
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import read_rows


class PrepareSettings(msgspec.Struct, frozen=True):
    """Named as the keys of a configuration."""

    use_cached_prepared_benchmarks: bool = False
    """Leave a file that is there as it is."""
    num_prepare_benchmark_processes: Annotated[int, msgspec.Meta(ge=1)] = 1
    prepare_script_args: dict[str, Any] = {}
    """Given to every `prepare`."""


class Prepared(msgspec.Struct, frozen=True):
    """A benchmark whose file is there."""

    name: str
    path: str
    rows: int
    cached: bool
    """Whether it was there already."""


@dataclass(frozen=True, slots=True)
class _Benchmark:
    name: str
    script: Path
    targets: frozenset[Path]
    """The possible paths of its file: the same place under each of the roots."""
    present: Path | None
    """The file, where there is one."""


async def prepare_benchmarks(
    agents: Sequence[Instance], roots: Sequence[Path], settings: PrepareSettings
) -> list[Prepared]:
    """Run the `prepare` of every benchmark that the agents declare, each once.

    Raises:
        UsageError: no benchmark is declared, or a script is missing.
        GymError: what went wrong with which benchmark; the others are prepared all the same.
    """
    benchmarks = _declared(agents, roots)
    turn = asyncio.Semaphore(settings.num_prepare_benchmark_processes)
    works = [_prepared(benchmark, roots, settings, turn) for benchmark in benchmarks]
    results = await asyncio.gather(*works, return_exceptions=True)
    problems = [result for result in results if isinstance(result, BaseException)]
    for problem in problems:
        if not isinstance(problem, GymError):
            raise problem
    if problems:
        raise GymError("\n  ".join(str(problem) for problem in problems))
    return [result for result in results if isinstance(result, Prepared)]


def _declared(agents: Sequence[Instance], roots: Sequence[Path]) -> list[_Benchmark]:
    every = [dataset for agent in agents for dataset in agent.datasets if dataset.type == "benchmark"]
    if not every:
        raise UsageError("no benchmark in the configuration: name one, or give a file").about(
            "benchmark", "config"
        )
    return [_benchmark(dataset, roots) for dataset in {one.jsonl_fpath: one for one in every}.values()]


def _benchmark(dataset: Dataset, roots: Sequence[Path]) -> _Benchmark:
    script_name = dataset.prepare_script or ""
    script = find_file(script_name, roots)
    if script is None:
        raise UsageError(f"{dataset.name}: there is no prepare_script {script_name!r}")
    targets = frozenset((root / dataset.jsonl_fpath).resolve() for root in roots)
    return _Benchmark(dataset.name, script, targets, find_file(dataset.jsonl_fpath, roots))


async def _prepared(
    benchmark: _Benchmark, roots: Sequence[Path], settings: PrepareSettings, turn: asyncio.Semaphore
) -> Prepared:
    present = benchmark.present if settings.use_cached_prepared_benchmarks else None
    if present is not None:
        return Prepared(benchmark.name, str(present), _count(present), cached=True)
    request = Request(str(benchmark.script), settings.prepare_script_args, [str(root) for root in roots])
    async with turn:
        ended = await run_program(
            [sys.executable, "-P", "-m", "nemo_gym.datasets.prepare_child"],
            folder=Path.cwd(),
            env=os.environ,
            seconds=_LONGEST_S,
            stdin=msgspec.json.encode(request),
        )
    path = _returned(benchmark, ended)
    return Prepared(benchmark.name, str(path), _count(path), cached=False)


def _returned(benchmark: _Benchmark, ended: Ended) -> Path:
    """The path that was returned, which must be the declared one.

    Raises:
        GymError: it isn't, or nothing was returned.
    """
    where = f"{benchmark.name}: {benchmark.script}"
    if ended.exit_code != 0:
        how = "ran out of time" if ended.exit_code is None else "failed"
        lines = "".join(f"\n  | {line}" for line in ended.stderr.splitlines()[-_SHOWN:])
        raise GymError(f"{where} {how} after {ended.seconds:.0f} s:{lines}")
    path = Path(ended.stdout)
    if path.resolve() not in benchmark.targets:
        declared = " or ".join(sorted(map(str, benchmark.targets)))
        raise GymError(f"{where}: prepare() returned {path}, but jsonl_fpath says {declared}")
    if not path.is_file():
        raise GymError(f"{where}: prepare() returned {path}, and there is no such file")
    return path


def _count(path: Path) -> int:
    """How many rows a file has.

    Raises:
        DataError: a line is not a JSON object, or there are none.
    """
    rows = sum(1 for _ in read_rows(path))
    if not rows:
        raise GymError(f"{path} has no rows")
    return rows


_LONGEST_S: Final = 86400.0
_SHOWN: Final = 20
"""Lines of what a failed script printed."""
