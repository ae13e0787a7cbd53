"""The command line's entry point."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from nemo_gym import __version__
from nemo_gym.cli import configs, environments, rollouts, runs, servers
from nemo_gym.cli.texts import print_error
from nemo_gym.wire.errors import GymError

app = typer.Typer(
    help="RL environments and verified rollouts for training and evaluating language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
evaluation = typer.Typer(help="Collect rollouts.", no_args_is_help=True)
evaluation.command("run")(rollouts.run)
app.command("run")(rollouts.run)
environments.app.command("resolve")(configs.resolve)
environments.app.command("validate")(configs.validate)
environments.app.command("start")(servers.start)
environments.app.command("status")(servers.status)
environments.app.command("stop")(servers.stop)
app.add_typer(evaluation, name="eval")
app.add_typer(environments.app, name="env")
app.add_typer(runs.app, name="runs")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; a mistake is one line on standard error and exit code 2, a failure 1."""
    try:
        app()
    except GymError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print_error(f"{error.filename or 'output'}: {error.strerror or error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
