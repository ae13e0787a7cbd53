"""`gym run --benchmark A,B`: one run for each benchmark, and one table of all."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from nemo_gym.cli.command_line import with_flags
from nemo_gym.cli.console import stdout_console
from nemo_gym.cli.output import echo, number, percent, print_error, print_json, score
from nemo_gym.runs.metrics import RunSummary
from nemo_gym.runs.report import report_on
from nemo_gym.wire.errors import GymError, UsageError


def run_suite(run: Callable[..., None], options: Mapping[str, Any], benchmarks: Sequence[str]) -> None:
    """Run each benchmark with the same options, print one table, and exit with the highest exit code.

    A benchmark that can't begin does not stop the others.

    Args:
        run: the command for one benchmark; it ends with `SystemExit`.
        options: its arguments; `output` is a folder here, which holds one file for each benchmark.

    Raises:
        UsageError: a benchmark is named twice, or the folder is a file.
    """
    folder: Path = options["output"] or Path("results", "suite")
    if len(set(benchmarks)) < len(benchmarks):
        raise UsageError("a benchmark is named twice").about("benchmark")
    if folder.is_file() or folder.suffix == ".jsonl":
        raise UsageError(f"output {folder}: several benchmarks need a folder").about("output")
    codes: dict[str, int] = {}
    reports: dict[str, Any] = {}
    for name in benchmarks:
        if not options["json"]:
            echo(f"{name}:")
        report = io.BytesIO()
        stream = io.TextIOWrapper(report)
        with redirect_stdout(stream) if options["json"] else nullcontext():
            codes[name] = _exit_code(
                run, {**options, "benchmark": [name], "output": _file(folder, name)}, name
            )
        reports[name] = json.loads(report.getvalue() or "null")
        if codes[name] == _INTERRUPTED:
            break
    if options["json"]:
        print_json({"benchmarks": reports})
    elif not options["dry_run"]:
        begun = {name for name, code in codes.items() if code != UsageError.exit_code}
        _print_table({name: _summary(_file(folder, name)) if name in begun else None for name in codes})
    sys.exit(max(codes.values()))


_INTERRUPTED = 130


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.replace('/', '_')}.jsonl"


def _exit_code(run: Callable[..., None], options: Mapping[str, Any], name: str) -> int:
    try:
        run(**options)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except GymError as error:
        print_error(f"{name}: {with_flags(error)}")
        return error.exit_code
    return 0


def _summary(output: Path) -> RunSummary | None:
    try:
        return report_on(output).summary
    except GymError:
        return None


def _print_table(summaries: Mapping[str, RunSummary | None]) -> None:
    table = Table("benchmark", "tasks", "scored", "mean reward", "95% interval", "solved at best")
    for name, summary in summaries.items():
        table.add_row(Text(name), *map(Text, _cells(summary) if summary else ["", "", "not run", "", ""]))
    stdout_console(100).print(table)


def _cells(summary: RunSummary) -> list[str]:
    interval = summary.ci95
    most = max(summary.pass_at, default=0)
    return [
        number(summary.tasks),
        f"{number(summary.scored)} of {number(summary.requested)}",
        "" if summary.mean_reward is None else score(summary.mean_reward),
        f"{score(interval[0])} to {score(interval[1])}" if interval else "",
        f"pass@{most} {percent(summary.pass_at[most])}" if most else "",
    ]
