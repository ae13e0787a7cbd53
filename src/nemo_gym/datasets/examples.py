"""Checks the examples of a resources server: five rows, their metrics and five rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nemo_gym.datasets.metrics_file import differences, read_metrics
from nemo_gym.datasets.statistics import Statistics
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.params import check_params

EXAMPLES: Final = 5


def example_problems(folder: Path) -> list[str]:
    """The problems of `data/example.jsonl`, `example_metrics.json` and `example_rollouts.jsonl`."""
    data = folder / "data"
    problems: list[str] = []
    try:
        statistics = Statistics()
        for number, row in read_rows(data / "example.jsonl"):
            try:
                check_params(row.get(keys.PARAMS))
            except UsageError as error:
                raise UsageError(f"{data / 'example.jsonl'}:{number}: {error}") from None
            statistics.add(row)
        if statistics.examples != EXAMPLES:
            problems.append(f"{data / 'example.jsonl'}: has {statistics.examples} rows, expected {EXAMPLES}")
        problems += _figure_problems(data / "example_metrics.json", statistics)
    except UsageError as error:
        problems.append(str(error))
    try:
        rollouts = sum(1 for _ in read_rows(data / "example_rollouts.jsonl"))
        if rollouts != EXAMPLES:
            problems.append(f"{data / 'example_rollouts.jsonl'}: has {rollouts} rows, expected {EXAMPLES}")
    except UsageError as error:
        problems.append(str(error))
    return problems


def _figure_problems(path: Path, statistics: Statistics) -> list[str]:
    stored, figures = read_metrics(path), statistics.figures()
    if not stored:
        return [f"{path}: there are no metrics of the examples"]
    missing = [f"{path}: {name}: missing" for name in figures if name not in stored]
    common = {name: value for name, value in stored.items() if name in figures}
    return missing + [f"{path}: {line}" for line in differences(common, figures)]
