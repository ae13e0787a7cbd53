"""The rich console of the commands, and the plain tables that they print on it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nemo_gym.cli.output import duration, echo, safe_text
from nemo_gym.wire.masking import without_secrets

Row = Mapping[str, Any]


class Console(RichConsole):
    """A console on which text is text: square brackets and colons are no markup, control characters are
    replaced, and secrets are masked. Styles come from the program alone."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def on_broken_pipe(self) -> None:
        """Let the error of the write pass. By default it becomes a `SystemExit`, which ends an event loop."""
        raise

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What the renderable looks like, as safe text. Secrets are masked before a line is broken, because
        a break in a secret would hide it."""
        if isinstance(renderable, str):
            renderable = without_secrets(renderable)
        elif (
            isinstance(renderable, Text) and (plain := without_secrets(renderable.plain)) != renderable.plain
        ):
            renderable = Text(plain, style=renderable.style)
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=safe_text(segment.text))


def stdout_console(width: int) -> Console:
    """A console on standard output, as wide as the terminal; `width` holds where there is none."""
    return Console(width=None if sys.stdout.isatty() else width)


def print_rows(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print a table with these columns of every row, a line each. If that is wider than the terminal, the
    last column is on lines of its own."""
    console = stdout_console(110)
    lines = [[*columns], *([safe_text(_cell(row.get(column))) for column in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    is_wide = console.is_terminal and sum(widths) + 2 * len(widths) > console.width
    for number, (*cells, last) in enumerate(lines):
        if not is_wide:
            cells = [*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), last]
        text = "  ".join(cells).rstrip()
        console.print(Text(text, style="" if number else "bold"), soft_wrap=True)
        if is_wide and number:
            console.print(Padding(Text(last), (0, 0, 0, 4)))


def print_facts(facts: Row) -> None:
    """Print a line for each field that has a value."""
    console = stdout_console(110)
    for name, value in facts.items():
        if value not in ("", None, []):
            console.print(f"{name:<16} {_cell(value)}", soft_wrap=True)


def print_banner(servers: Sequence[Row], *, head_url: str, seconds: float, stop: str) -> None:
    """Print the servers that have just been started.

    Args:
        servers: as the head server lists them.
        seconds: how long starting took.
        stop: what to do to stop them.
    """
    print_servers(servers)
    count = len(servers)
    echo(f"{count} / {count} servers ready after {seconds:.1f} s · head {head_url} · {stop}")


def print_servers(servers: Sequence[Row]) -> None:
    """Print a line for each server, with its health where the rows have one."""
    has_status = any("status" in server for server in servers)
    columns = ["server", "kind", "implementation", "url", "pid", *(["health", "up"] if has_status else [])]
    table = Table(*columns, box=None, pad_edge=False)
    for server in servers:
        facts = [server["process_name"], server["server_type"], server["name"], server["url"]]
        health = [server["status"], duration(server["uptime_seconds"])] if has_status else []
        table.add_row(*facts, str(server["pid"]), *health)
    stdout_console(160).print(table)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return ", ".join(Path(str(item)).stem for item in cast("list[Any]", value))
        case _:
            return str(value)
