"""Reads the benchmarks that rows are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nemo_gym.config.datasets import Dataset
from nemo_gym.config.resolve import resolve
from nemo_gym.config.selection import select
from nemo_gym.config.sources import find_file
from nemo_gym.datasets.benchmark_rows import read_records
from nemo_gym.datasets.curation.ngrams import MOST_WORDS, Benchmark
from nemo_gym.datasets.curation.output import AgainstReport
from nemo_gym.datasets.curation.task_text import row_texts
from nemo_gym.wire.errors import UsageError


def read_against(name: str, roots: Sequence[Path], size: int = MOST_WORDS) -> tuple[Benchmark, AgainstReport]:
    """The n-grams of a benchmark, and how much there is of it.

    Args:
        name: of a benchmark that was prepared, or the path of a file (JSONL, JSON, CSV, TSV or Parquet).
        size: the words of an n-gram.

    Raises:
        UsageError: there is no such benchmark or file, or it has no rows, or no text that is long enough.
    """
    paths = [Path(name)] if Path(name).is_file() else _benchmark_files(name, roots)
    benchmark = Benchmark.of(
        name, (list(row_texts(one)) for path in paths for one in read_records(path)), size
    )
    if not benchmark.rows:
        raise UsageError(f"--against {name}: there is nothing in it")
    if not benchmark.size:
        raise UsageError(f"--against {name}: it has no text of at least 8 words to compare with")
    return benchmark, AgainstReport(name, benchmark.rows, benchmark.size)


def _benchmark_files(name: str, roots: Sequence[Path]) -> list[Path]:
    if "/" in name or name.endswith((".jsonl", ".json", ".csv", ".tsv", ".parquet")):
        raise UsageError(f"--against {name}: there is no such file")
    selection = select(selectors={"benchmark": [name]}, search_dirs=roots)
    config = resolve(selection.paths, selection.overrides, search_dirs=list(roots), offline=True)
    datasets = [one for agent in config.of("responses_api_agents") for one in agent.datasets]
    return [_file(name, dataset, roots) for dataset in datasets if dataset.type == "benchmark"]


def _file(name: str, dataset: Dataset, roots: Sequence[Path]) -> Path:
    path = find_file(dataset.jsonl_fpath, roots)
    if path is None:
        command = f"gym eval prepare --benchmark {name}"
        raise UsageError(f"--against {name}: there is no {dataset.jsonl_fpath} yet: {command}")
    return path
