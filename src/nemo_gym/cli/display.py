"""A run on the terminal: live progress, or lines where there is no terminal, and a table at the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from time import localtime, strftime

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nemo_gym.cli.console import Console, stdout_console
from nemo_gym.cli.conversation import print_rollout
from nemo_gym.cli.output import duration, number, percent, print_json, score
from nemo_gym.runs.metrics import RunSummary
from nemo_gym.runs.progress import Progress
from nemo_gym.runs.report import RunListing, RunReport
from nemo_gym.runs.run import Run
from nemo_gym.runs.tool_counts import NO_SUCH_TOOL, ToolCount
from nemo_gym.wire.rollout import Rollout


@asynccontextmanager
async def watch(run: Run) -> AsyncGenerator[None, None]:
    """Show a run on standard error while the block lasts."""
    console = Console(stderr=True)
    note_count = _print_notes(run, console)
    show = _live if console.is_terminal else _lines
    task = asyncio.create_task(show(run.progress, console))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _print_notes(run, console, skip=note_count)


def print_report(report: RunReport, *, as_json: bool = False) -> None:
    """Print the figures of a run and the paths of its files to standard output."""
    if as_json:
        data = {
            "status": report.manifest.status,
            "reason": report.manifest.reason,
            "summary": report.summary,
            "key_metrics": report.key_metrics,
            "files": {name: str(path) for name, path in _files(report)},
        }
        print_json(data)
        return
    console = stdout_console(100)
    manifest = report.manifest
    names = [manifest.environment_name or "servers", manifest.model_name, manifest.status]
    title = Text(" · ".join(filter(None, names)), style="italic")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    sections = (
        summary_rows(report.summary),
        *own_rows(report),
        tool_rows(report.summary),
        asked_rows(report.summary),
    )
    for rows in sections:
        for name, value in rows:
            table.add_row(Text(name), value)
        if rows:
            table.add_section()
    console.print(table)
    for warning in warnings(report.summary):
        console.print(Text(f"warning: {warning}"), soft_wrap=True)
    for name, path in _files(report):
        console.print(f"{name:<10} {path}", markup=False, highlight=False, soft_wrap=True)


def print_sample(rollouts: Sequence[Rollout], of: int, *, as_json: bool = False) -> None:
    """Print a random sample of `of` rollouts to standard output."""
    if as_json:
        print_json({"of": of, "rollouts": [rollout.to_row() for rollout in rollouts]})
        return
    for rollout in rollouts:
        print_rollout(rollout)
        Console().rule(style="dim")
    Console().print(f"{number(len(rollouts))} of {number(of)} such rollouts", highlight=False)


def print_runs(runs: Sequence[RunListing], *, as_json: bool = False) -> None:
    """Print a line for each run to standard output."""
    if as_json:
        print_json([_run_facts(run) for run in runs])
        return
    console = stdout_console(140)
    table = Table("rollouts", "environment", "model", "status", "scored", "mean reward", "started")
    for run in runs:
        manifest = run.manifest
        cells = (
            str(run.output),
            manifest.environment_name or "servers",
            manifest.model_name,
            manifest.status,
            f"{number(run.scored)} of {number(manifest.requested)}",
            "" if run.mean_reward is None else score(run.mean_reward),
            strftime("%Y-%m-%d %H:%M", localtime(manifest.started_at)),
        )
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table if runs else "no runs here")


def _run_facts(run: RunListing) -> dict[str, object]:
    return {
        "rollouts": str(run.output),
        "environment": run.manifest.environment_name,
        "model": run.manifest.model_name,
        "status": run.manifest.status,
        "requested": run.manifest.requested,
        "scored": run.scored,
        "mean_reward": run.mean_reward,
        "started_at": run.manifest.started_at,
    }


def summary_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """The lines of the table at the end, each figure once: coverage, then reward, then tokens."""
    failed = sum(summary.failed.values())
    tokens = {"input tokens": summary.input_tokens, "output tokens": summary.output_tokens}
    return [
        ("tasks", _tasks(summary)),
        ("rollouts asked for", number(summary.requested)),
        ("  scored", number(summary.scored)),
        ("  failed", number(failed)),
        *((f"    {name}", number(count)) for name, count in sorted(summary.failed.items())),
        ("  pending", number(summary.pending)),
        ("mean reward", _interval(summary)),
        *_solved(summary),
        *((name, number(count)) for name, count in tokens.items() if count is not None),
    ]


def own_rows(report: RunReport) -> list[list[tuple[str, str]]]:
    """The key metrics of each agent, without those that the table already has."""
    sections: list[list[tuple[str, str]]] = []
    of_tasks = {f"mean/{column}" for column in report.task_columns}
    for agent, metrics in report.key_metrics.items():
        figures = {
            name: value
            for name, value in metrics.items()
            if isinstance(value, int | float)
            and name not in of_tasks
            and f"mean/reward_components/{name.removeprefix('mean/')}" not in metrics
            and not _IN_TABLE.match(name)
        }
        if figures:
            head = (f"key metrics of {agent}", "")
            sections.append([head, *(_metric_row(name, value) for name, value in figures.items())])
    return sections


def tool_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """The calls of each tool, and how many of them ended with an error."""
    rows = [(f"  {name}", _calls(count)) for name, count in summary.tools.items()]
    return [("tool calls", ""), *rows] if rows else []


def asked_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """How often the environment asked each of its models, the failed calls, and the tokens if known."""
    rows: list[tuple[str, str]] = []
    for name, count in summary.asked_models.items():
        parts = [f"{number(count.calls)} {'call' if count.calls == 1 else 'calls'}"]
        if count.failed:
            parts.append(f"{number(count.failed)} failed")
        if count.input_tokens or count.output_tokens:
            parts.append(f"{number(count.input_tokens)} tokens in, {number(count.output_tokens)} out")
        rows.append((f"asked model {name}", ", ".join(parts)))
    return rows


def warnings(summary: RunSummary) -> list[str]:
    """A line for each tool that is probably broken: all of its calls ended with an error."""
    broken = {
        name: count
        for name, count in summary.tools.items()
        if count.calls and count.errors == count.calls and name != NO_SUCH_TOOL
    }
    lines = [
        f"tool {name}: {'its only call' if count.calls == 1 else f'all {number(count.calls)} calls'} "
        f"ended with an error, for instance {count.error}"
        for name, count in broken.items()
    ]
    return lines[:_MOST_WARNINGS]


_MOST_WARNINGS = 5
_IN_TABLE = re.compile(
    r"mean/(reward|(input|output|total)_tokens)$|pass@\d+(\[avg-of-\d+\])?/|per_sample|coverage/"
)
"""Key metrics that are in the table in another unit, or that are too long for it."""


def _metric_row(name: str, value: float) -> tuple[str, str]:
    """A key metric in plain words: `majority@8/accuracy` is in percent, `mean/length` is not."""
    if name.startswith("majority@"):
        return f"  {name.replace('/', ' ')}", percent(value)
    label = name.replace("mean/", "mean ").replace("reward_components/", "of reward part ")
    return f"  {label}", number(value)


def _calls(count: ToolCount) -> str:
    errors = f", {number(count.errors)} with an error" if count.errors else ""
    return number(count.calls) + errors


def _tasks(summary: RunSummary) -> str:
    if summary.planned_tasks is None or summary.planned_tasks == summary.tasks:
        return number(summary.tasks)
    return f"{number(summary.planned_tasks)} ({number(summary.tasks)} with a score)"


def _solved(summary: RunSummary) -> list[tuple[str, str]]:
    """The lines of pass@k and best@k. If all rewards are 0 or 1, pass@1 is the mean and best@k is pass@k."""
    passes: list[tuple[str, str]] = []
    best: list[tuple[str, str]] = []
    needs = "" if summary.binary else f" (reward from {summary.solved_at:g})"
    for k, share in summary.pass_at.items():
        short = summary.tasks - summary.tasks_at.get(k, 0)
        fewer = f" ({number(short)} with fewer rollouts)" if short else ""
        if k > 1 or not summary.binary:
            passes.append((f"pass@{k}{needs}", f"{percent(share)} of tasks{fewer}"))
        if k > 1 and not summary.binary:
            best.append((f"best@{k}", score(summary.best_at[k])))
    return passes + best


def _print_notes(run: Run, console: Console, *, skip: int = 0) -> int:
    for note in run.notes[skip:]:
        console.print(Text(note, style="dim"), soft_wrap=True)
    return len(run.notes)


_FEW_TASKS = 5
"""With fewer tasks, a 95 % interval is wider than the range of rewards."""


def _interval(summary: RunSummary) -> str:
    if summary.mean_reward is None:
        return "none scored"
    if summary.tasks < _FEW_TASKS:
        return f"{score(summary.mean_reward)} (too few tasks for an interval)"
    if summary.ci95 is None:
        return f"{score(summary.mean_reward)} (all rewards are alike)"
    low, high = summary.ci95
    return f"{score(summary.mean_reward)} (95 % CI {score(low)} to {score(high)})"


async def _lines(progress: Progress, console: Console) -> None:
    """Print a line every few seconds, and less often as time goes on."""
    pause = 2.0
    while True:
        await asyncio.sleep(pause)
        pause = min(30.0, pause * 1.3)
        console.print(Text(status_line(progress)), soft_wrap=True)


async def _live(progress: Progress, console: Console) -> None:
    with Live(console=console, refresh_per_second=8, transient=True, auto_refresh=False) as live:
        while True:
            bar = ProgressBar(total=max(1, progress.requested), completed=progress.done, width=40)
            grid = Table.grid()
            grid.add_row(bar)
            grid.add_row(Text(status_line(progress)))
            live.update(grid, refresh=True)
            await asyncio.sleep(0.25)


def status_line(progress: Progress) -> str:
    """`128/256 · 12.1 rollouts/s · reward 0.410 (0.352 to 0.471) · 3 failed (run_error 3) · 11 s left`."""
    rate, tokens = progress.rates()
    speed = f"{rate:.1f} rollouts/s" if rate >= 0.1 else f"{60 * rate:.1f} rollouts/min"
    if not progress.finished:
        speed = f"none has ended after {duration(progress.elapsed())}"
    parts = [f"{progress.done:,}/{progress.requested:,}", speed]
    if progress.scored:
        parts.append(f"reward {score(progress.mean.mean)}{_live_interval(progress)}")
    if progress.failed:
        classes = ", ".join(f"{name} {count}" for name, count in progress.failures.most_common())
        parts.append(f"{progress.failed} failed ({classes})")
    if tokens:
        parts.append(f"{tokens:,.0f} tokens/s")
    remaining = progress.seconds_left()
    if remaining is not None and progress.pending:
        parts.append(f"{duration(remaining)} left")
    return " · ".join(parts)


def _live_interval(progress: Progress) -> str:
    interval = progress.mean.interval if progress.mean.tasks >= _FEW_TASKS else None
    return "" if interval is None else f" ({score(interval[0])} to {score(interval[1])})"


def _files(report: RunReport) -> list[tuple[str, object]]:
    paths = report.paths
    files = [
        ("rollouts", paths.rollouts),
        ("failures", paths.failures),
        ("inputs", paths.inputs),
        ("metrics", paths.metrics),
        ("manifest", paths.manifest),
    ]
    return [(name, path) for name, path in files if path.exists() and path.stat().st_size]
