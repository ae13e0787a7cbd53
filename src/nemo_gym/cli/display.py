"""How a run looks: live on a terminal, lines elsewhere, a table at the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nemo_gym.cli.console import Console
from nemo_gym.cli.texts import duration, number, print_json
from nemo_gym.runs.metrics import RunSummary
from nemo_gym.runs.progress import Progress
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.run import Run


@asynccontextmanager
async def watch(run: Run) -> AsyncGenerator[None, None]:
    """Show a run on standard error while the block lasts."""
    console = Console(stderr=True)
    told = _print_notes(run, console)
    show = _live if console.is_terminal else _lines
    task = asyncio.create_task(show(run.progress, console))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _print_notes(run, console, skip=told)


def print_report(report: RunReport, *, as_json: bool = False) -> None:
    """The figures of a run and the paths of its files on standard output."""
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
    console = Console(width=None if sys.stdout.isatty() else 100)
    environment, model = report.manifest.identity.environment, report.manifest.identity.model
    named = [environment["ref"] or "servers", model["name"] or model["type"].replace("none", "")]
    title = " · ".join(filter(None, [*named, report.manifest.status]))
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in summary_rows(report.summary):
        table.add_row(name, value)
    for agent, metrics in report.key_metrics.items():
        figures = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
        if figures:
            table.add_section()
            table.add_row(Text(f"key metrics of {agent}"), "")
        for name, value in figures.items():
            table.add_row(Text(f"  {name}"), number(value))
    console.print(table)
    for name, path in _files(report):
        console.print(f"{name:<10} {path}", highlight=False, soft_wrap=True)


def summary_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """The lines of the closing table: coverage first, then reward."""
    failed = sum(summary.failed.values())
    return [
        ("asked for", number(summary.requested)),
        ("scored", number(summary.scored)),
        ("failed", number(failed)),
        *((f"  {name}", number(count)) for name, count in sorted(summary.failed.items())),
        ("pending", number(summary.pending)),
        ("mean reward", _interval(summary)),
        *((f"pass@{k}", f"{value:.1f} %") for k, value in summary.pass_at.items()),
        *(
            (name, number(count))
            for name, count in (
                ("input tokens", summary.input_tokens),
                ("output tokens", summary.output_tokens),
            )
            if count is not None
        ),
    ]


def _print_notes(run: Run, console: Console, *, skip: int = 0) -> int:
    for note in run.notes[skip:]:
        console.print(note, style="dim", highlight=False, soft_wrap=True)
    return len(run.notes)


_FEW_TASKS = 5
"""Below this a 95 % interval is wider than the rewards themselves."""


def _interval(summary: RunSummary) -> str:
    if summary.mean_reward is None:
        return "none scored"
    if summary.ci95 is None or summary.tasks < _FEW_TASKS:
        return f"{summary.mean_reward:.3f} (too few tasks for an interval)"
    return f"{summary.mean_reward:.3f} (95 % CI {summary.ci95[0]:.3f} to {summary.ci95[1]:.3f})"


async def _lines(progress: Progress, console: Console) -> None:
    """A line every few seconds, less often as time goes on."""
    pause = 2.0
    while True:
        await asyncio.sleep(pause)
        pause = min(30.0, pause * 1.3)
        console.print(status_line(progress), highlight=False, soft_wrap=True)


async def _live(progress: Progress, console: Console) -> None:
    with Live(console=console, refresh_per_second=8, transient=True, auto_refresh=False) as live:
        while True:
            bar = ProgressBar(total=max(1, progress.requested), completed=progress.done, width=40)
            grid = Table.grid()
            grid.add_row(bar)
            grid.add_row(status_line(progress))
            live.update(grid, refresh=True)
            await asyncio.sleep(0.25)


def status_line(progress: Progress) -> str:
    """`128/256 · 12.1 rollouts/s · reward 0.41 ± 0.05 · 3 failed (model_timeout 3) · 11 s left`."""
    rate, tokens = progress.rates()
    parts = [f"{progress.done:,}/{progress.requested:,}", f"{rate:.1f} rollouts/s"]
    if progress.scored:
        mean, half_width = progress.mean.mean, progress.mean.half_width
        parts.append(f"reward {mean:.3f}" + (f" ± {half_width:.3f}" if half_width is not None else ""))
    if progress.failed:
        classes = ", ".join(f"{name} {count}" for name, count in progress.failures.most_common())
        parts.append(f"{progress.failed} failed ({classes})")
    if tokens:
        parts.append(f"{tokens:,.0f} tokens/s")
    left = progress.seconds_left()
    if left is not None and progress.pending:
        parts.append(f"{duration(left)} left")
    return " · ".join(parts)


def _files(report: RunReport) -> list[tuple[str, object]]:
    paths = report.paths
    named = [
        ("rollouts", paths.rollouts),
        ("failures", paths.failures),
        ("inputs", paths.inputs),
        ("metrics", paths.metrics),
        ("manifest", paths.manifest),
    ]
    return [(name, path) for name, path in named if path.exists() and path.stat().st_size]
