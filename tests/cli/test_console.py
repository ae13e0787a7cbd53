"""Tables of components: whole lines in a pipe, and no squeezed columns on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nemo_gym.cli.console import print_rows

ROWS = [
    {"name": "a", "domain": "math", "description": "Add two numbers, each below a hundred."},
    {"name": "a_long_name", "domain": "agent", "description": "Call a tool."},
]


@pytest.mark.parametrize(
    ("width", "is_terminal", "lines"),
    [
        (
            20,
            False,
            [
                "name         domain  description",
                "a            math    Add two numbers, each below a hundred.",
                "a_long_name  agent   Call a tool.",
            ],
        ),
        (
            30,
            True,
            [
                "name  domain",
                "a  math",
                "    Add two numbers, each",
                "    below a hundred.",
                "a_long_name  agent",
                "    Call a tool.",
            ],
        ),
    ],
)
def test_a_row_is_one_line_unless_the_terminal_is_too_narrow(
    monkeypatch: pytest.MonkeyPatch, width: int, is_terminal: bool, lines: list[str]
) -> None:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, color_system=None)
    monkeypatch.setattr("nemo_gym.cli.console.stdout_console", lambda _: console)

    print_rows(ROWS, ("name", "domain", "description"))

    assert [line.rstrip() for line in file.getvalue().splitlines()] == lines
