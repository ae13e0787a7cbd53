"""`gym runs`: look at runs, finished or not."""

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


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="The folder of their files.")] = Path("results"),
    json: Json = False,
) -> None:
    """List the runs in a folder, the latest first.

    Example: gym runs list

    Example: gym runs list results/experiments --json
    """
    from nemo_gym.cli.display import print_runs
    from nemo_gym.cli.output import print_error
    from nemo_gym.runs.report import runs_in

    runs, problems = runs_in(folder)
    print_runs(runs, as_json=json)
    for problem in problems:
        print_error(problem)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="The rollouts file of a run.")],
    task: Annotated[int | None, typer.Option(min=0, help="Print a rollout of this task.")] = None,
    repeat: Annotated[int, typer.Option(min=0, help="The repeat of the task.")] = 0,
    failed: Annotated[bool, typer.Option("--failed", help="Print rollouts that failed.")] = False,
    reward: Annotated[
        float | None, typer.Option(help="Print rollouts with this reward; with --failed, both kinds.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="How many rollouts, drawn at random. [default: 10]")
    ] = None,
    json: Json = False,
) -> None:
    """Print a run again, or some of its rollouts as conversations.

    Example: gym runs show results/mcqa.jsonl

    Example: gym runs show results/mcqa.jsonl --task 3 --repeat 1

    Example: gym runs show results/mcqa.jsonl --failed --reward 0 --sample 3
    """
    from nemo_gym.cli.conversation import print_rollout
    from nemo_gym.cli.display import print_report, print_sample
    from nemo_gym.runs.report import report_on
    from nemo_gym.runs.rollout_rows import read_rollout
    from nemo_gym.runs.store import RunStore, Selection

    chooses = failed or reward is not None or sample is not None
    store = RunStore(path)
    store.check_exists()
    if task is not None and chooses:
        raise UsageError("--task names one rollout: leave --failed, --reward and --sample out")
    if chooses:
        selection = Selection(scored=not failed or reward is not None, failed=failed, reward=reward)
        rows, of = store.sample(sample or 10, selection)
        print_sample([read_rollout(row) for row in rows], of, as_json=json)
    elif task is None:
        print_report(report_on(path), as_json=json)
    else:
        print_rollout(store.rollout(task, repeat), as_json=json)
