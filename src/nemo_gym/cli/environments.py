"""`gym env`: find, look at, start and check environments."""

from __future__ import annotations

import sys
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.selection import Json

if TYPE_CHECKING:
    from nemo_gym.environments.conformance.check import CheckReport

app = typer.Typer(help="Find, look at, start and check environments.", no_args_is_help=True)


@app.command("list", hidden=True)
def list_all(
    json: Json = False,
) -> None:
    """List every environment that can be run by name; the command is now `gym list environments`.

    Example: gym list environments --json
    """
    from nemo_gym.cli.listing import print_environments
    from nemo_gym.environments.discovery import list_environments

    print_environments(list_environments(), as_json=json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name, `path.py` or `path.py:Class`.")],
    json: Json = False,
) -> None:
    """Print what an environment is, its tools, settings and a first task.

    Example: gym env show workplace_assistant
    """
    from nemo_gym.cli.listing import print_environment
    from nemo_gym.environments.discovery import find_environment

    print_environment(find_environment(name), as_json=json)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A name, `path.py` or `path.py:Class`.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the tasks that are tried.")] = 0,
    ask: options.Asks = None,
    json: Json = False,
) -> None:
    """Prove that an environment keeps its promises: golden cases, determinism, isolation, hostile text.

    Example: gym env check weather/environment.py

    Example: gym env check reasoning level=2 --seed 7
    """
    from nemo_gym.cli.asks import read_asks
    from nemo_gym.cli.listing import print_check
    from nemo_gym.cli.words import read_settings
    from nemo_gym.environments.build import build_environment
    from nemo_gym.environments.conformance.check import check_environment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.runs.asked_specs import with_asked
    from nemo_gym.runs.component_specs import EnvironmentSpec
    from nemo_gym.runs.loop import run_async

    kind = find_environment(name)
    spec = with_asked(EnvironmentSpec(name, read_settings(settings or [])), read_asks(ask or []))
    build = partial(build_environment, kind, spec.settings)
    supply = spec.resources if spec.models else None

    async def checked() -> CheckReport:
        if supply is not None:
            async with aclosing(supply()) as resources:
                await resources.check()
        return await check_environment(build, seed=seed, supply=supply)

    report = run_async(checked())
    print_check(name, report, as_json=json)
    sys.exit(0 if all(result.passed for result in report.results) else 1)
