"""`gym env init`: write an environment, a resources server or a benchmark to start from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
import typer

from nemo_gym.cli.output import echo
from nemo_gym.cli.words import read_options
from nemo_gym.config.manifest import Profile
from nemo_gym.wire.errors import UsageError

_workload_option: Final = partial(typer.Option, rich_help_panel="Servers and workloads")
_reward_option: Final = partial(typer.Option, rich_help_panel="Rewards of those")


class InitOptions(msgspec.Struct):
    """Named as the keys of a configuration."""

    entrypoint: str = ""
    """`resources_servers/NAME`."""


def init(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The name of a new environment class.")] = "",
    folder: Annotated[Path, typer.Option(help="The folder to write into.")] = Path(),
    template: Annotated[
        Literal["tools", "steps"],
        typer.Option(help="The class has tools and one answer, or a step for each of several answers."),
    ] = "tools",
    resources_server: Annotated[
        str,
        _workload_option(metavar="NAME", help="Write a resources server, with a FastAPI app."),
    ] = "",
    environment: Annotated[
        str,
        _workload_option(metavar="NAME", help="Write an environment with a manifest, and its server."),
    ] = "",
    benchmark: Annotated[
        str,
        _workload_option(metavar="NAME", help="Write a benchmark with a manifest, and its server."),
    ] = "",
    profile: Annotated[
        Profile | None,
        _workload_option(
            metavar="PROFILE",
            help=f"Who makes the loop: {', '.join(get_args(Profile))}. [default: custom-gym-verifier]",
        ),
    ] = None,
    reuse_verifier: Annotated[
        str,
        _workload_option(metavar="NAME", help="Use this resources server instead of writing one."),
    ] = "",
    reward_range: Annotated[
        tuple[float, float] | None,
        _reward_option(metavar="LO HI", help="Lowest and highest reward."),
    ] = None,
    higher_is_better: Annotated[
        bool | None,
        _reward_option(
            "--higher-is-better/--lower-is-better", help="Whether higher or lower rewards are better."
        ),
    ] = None,
) -> None:
    """Write a small environment with tests, for you to change.

    Example: gym env init my_env

    Example: gym env init my_game --template steps

    Example: gym env init --environment word_count --profile custom-gym-verifier
    """
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.scaffold.environment import write_scaffold

    if "=" in name:
        name, resources_server = "", Path(read_options(InitOptions, [name]).entrypoint).name
    forms = {"NAME": name, "--resources-server": resources_server, "--environment": environment}
    chosen_forms = {flag: value for flag, value in {**forms, "--benchmark": benchmark}.items() if value}
    if len(chosen_forms) != 1:
        raise UsageError("give one of NAME, --resources-server NAME, --environment NAME, --benchmark NAME")
    [(form, chosen)] = chosen_forms.items()
    workload = form in ("--environment", "--benchmark")
    if (profile or reuse_verifier) and not workload:
        raise UsageError("--profile and --reuse-verifier go with --environment or --benchmark")
    if template == "steps" and form != "NAME":
        raise UsageError("--template goes with NAME, an environment that is one class")
    if form == "NAME":
        if reward_range or higher_is_better is not None:
            raise UsageError("rewards of an environment class: set its reward_range in the class")
        files = write_scaffold(chosen, folder, steps=template == "steps")
        commands = [f"gym run {chosen}", f"gym env check {chosen}"]
    else:
        from nemo_gym.config.sources import search_roots
        from nemo_gym.workloads.scaffold.server import Scale, write_server
        from nemo_gym.workloads.scaffold.workload import WorkloadRequest, write_workload

        low, high = reward_range or (0.0, 1.0)
        if not low < high:
            raise UsageError(f"--reward-range {low:g} {high:g}: expected the lowest reward, then the highest")
        has_scale = reward_range or higher_is_better is not None
        scale = Scale(low, high, higher_is_better is not False) if has_scale else None
        if workload:
            kind = "benchmark" if benchmark else "environment"
            workload_request = WorkloadRequest(
                name=chosen,
                kind=kind,
                profile=profile or "custom-gym-verifier",
                reuse_verifier=reuse_verifier,
                scale=scale,
            )
            files = run_async(write_workload(workload_request, folder, search_roots([folder])))
            commands = [f"gym env {word} {chosen} --kind {kind}" for word in ("validate", "test")]
        else:
            files = write_server(chosen, folder, scale or Scale())
            commands = [f"gym env test --resources-server {chosen}"]
    for path in files:
        echo(f"wrote {path}")
    echo("\nnext:  " + "\n       ".join(commands))
