"""`gym runs`: look at runs that are finished or going on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nemo_gym.cli.selection import Json
from nemo_gym.wire.errors import UsageError

app = typer.Typer(help="Look at runs.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look at runs."""


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="The rollouts file of a run.")],
    task: Annotated[int | None, typer.Option(min=0, help="Print a rollout of this task.")] = None,
    repeat: Annotated[int, typer.Option(min=0, help="Which repeat of the task.")] = 0,
    json: Json = False,
) -> None:
    """Print a run again, or one of its rollouts as a conversation.

    Example: gym runs show results/mcqa.jsonl

    Example: gym runs show results/mcqa.jsonl --task 3 --repeat 1
    """
    from nemo_gym.cli.conversation import print_rollout
    from nemo_gym.cli.display import print_report
    from nemo_gym.runs.report import find_rollout, report_on

    if not path.exists():
        raise UsageError(f"{path}: there is no such run")
    if task is None:
        print_report(report_on(path), as_json=json)
    else:
        print_rollout(find_rollout(path, task, repeat), as_json=json)
