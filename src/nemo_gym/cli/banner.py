"""What is shown of running servers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from nemo_gym.cli.console import Console
from nemo_gym.cli.texts import duration, echo

Row = Mapping[str, Any]
"""A server as the head server lists it."""


def print_banner(servers: Sequence[Row], *, head_url: str, seconds: float, stop: str) -> None:
    """The servers that have just been started, on standard output.

    Args:
        seconds: how long it took.
        stop: what to do to stop them.
    """
    print_servers(servers)
    count = len(servers)
    echo(f"{count} / {count} servers ready after {seconds:.1f} s · head {head_url} · {stop}")


def print_servers(servers: Sequence[Row]) -> None:
    """A line for each server; with its health where that is known."""
    has_status = any("status" in server for server in servers)
    columns = ["server", "kind", "implementation", "url", "pid", *(["health", "up"] if has_status else [])]
    table = Table(*columns, box=None, pad_edge=False)
    for server in servers:
        facts = [server["process_name"], server["server_type"], server["name"], server["url"]]
        health = [server["status"], duration(server["uptime_seconds"])] if has_status else []
        table.add_row(*facts, str(server["pid"]), *health)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
