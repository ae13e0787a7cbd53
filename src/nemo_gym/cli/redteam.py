"""`gym env redteam`, and `--all` for it and for `gym env check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.output import echo, print_json, safe_text
from nemo_gym.cli.selection import Json
from nemo_gym.cli.words import read_asks, read_settings
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.environments.base import Environment
    from nemo_gym.environments.conformance.check import CheckReport
    from nemo_gym.environments.redteam.attack import RedteamReport
    from nemo_gym.environments.resources import Resources


def redteam(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A name, `path.py` or `path.py:Class`.")] = "",
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the environment.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every built-in environment.")] = False,
    tasks: Annotated[int, typer.Option(min=0, help="On how many tasks the general hacks are tried.")] = 2,
    seed: Annotated[int, typer.Option(help="The seed of the tasks.")] = 0,
    ask: options.Asks = None,
    sandbox_provider: options.SandboxProvider = "",
    json: Json = False,
) -> None:
    """Try known reward hacks on an environment, and report every one that pays.

    Example: gym env redteam mcqa

    Example: gym env redteam --all
    """
    from nemo_gym.environments.redteam.attack import attack
    from nemo_gym.runs.loop import run_async

    check_names(name, every, settings)
    if every:
        job = partial(attack_built_in, tasks=tasks, seed=seed, sandbox_provider=sandbox_provider)
        sys.exit(print_all(in_processes(job), _summary, as_json=json))
    build, supply = subject(name, settings, ask, sandbox_provider)
    report = run_async(attack(build, tasks=tasks, seed=seed, supply=supply))
    if json:
        print_json(report)
    else:
        _print(report)
    sys.exit(0 if report.passed else 1)


def check_names(name: str, every: bool, settings: Sequence[str] | None) -> None:
    """Refuse a command line with both a name and `--all`, or with neither.

    Raises:
        UsageError: it has both or neither.
    """
    if bool(name) == every or (every and settings):
        raise UsageError("give the name of one environment, or --all without a name or settings")


def subject(
    name: str, settings: Sequence[str] | None, asks: Sequence[str] | None, sandbox_provider: str
) -> tuple[Callable[[], Environment], Callable[[], Resources] | None]:
    """What builds the environment of a command line, and what creates its resources, if it names models or a
    provider of sandboxes.

    Raises:
        UsageError: there is no such environment, or a word can't be read.
    """
    from nemo_gym.environments.build import build_environment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.runs.asked_specs import with_asked
    from nemo_gym.runs.component_specs import EnvironmentSpec

    kind = find_environment(name)
    spec = with_asked(EnvironmentSpec(name, read_settings(settings or [])), read_asks(asks or []))
    supply = _with_provider(kind, sandbox_provider, spec.resources if spec.models else None)
    return partial(build_environment, kind, spec.settings), supply


def _with_provider(
    kind: type[Environment], sandbox_provider: str, supply: Callable[[], Resources] | None = None
) -> Callable[[], Resources] | None:
    """What creates the resources of an environment; None for those of the check itself.

    Raises:
        InvalidSandbox: there is no such provider.
    """
    from nemo_gym.environments.conformance.stand_in import stand_ins
    from nemo_gym.sandbox.pool import named_pool

    if not sandbox_provider:
        return supply
    named_pool(sandbox_provider, None)
    others = supply or partial(stand_ins, kind.asks)
    return lambda: replace(others(), sandboxes=named_pool(sandbox_provider, None))


def in_processes(job: Callable[[str], Any]) -> list[Any]:
    """The results of a job for every built-in environment, worked on in a process for each processor."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from nemo_gym.environments.environment_info import library

    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(job, library()))


def check_built_in(name: str, *, baseline_tasks: int, seed: int, sandbox_provider: str) -> CheckReport:
    """The conformance check of a built-in environment with its default settings."""
    from nemo_gym.environments.conformance.check import check_environment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.runs.loop import run_async

    kind = find_environment(name, roots=[])
    supply = _with_provider(kind, sandbox_provider)
    return run_async(
        check_environment(lambda: kind({}), baseline_tasks=baseline_tasks, seed=seed, supply=supply)
    )


def attack_built_in(name: str, *, tasks: int, seed: int, sandbox_provider: str) -> RedteamReport:
    """The hacks against a built-in environment with its default settings."""
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.environments.redteam.attack import attack
    from nemo_gym.runs.loop import run_async

    kind = find_environment(name, roots=[])
    supply = _with_provider(kind, sandbox_provider)
    return run_async(attack(lambda: kind({}), tasks=tasks, seed=seed, supply=supply))


def print_all(reports: Sequence[Any], summary: Callable[[Any], str], *, as_json: bool) -> int:
    """Print one line for each report, with the problems under it; the result is the exit code."""
    passed = all(report.passed for report in reports)
    if as_json:
        print_json({"passed": passed, "environments": reports})
        return 0 if passed else 1
    for report in reports:
        echo(f"{'pass' if report.passed else 'FAIL'}  {report.environment:<32} {safe_text(summary(report))}")
    echo(f"{sum(report.passed for report in reports)} of {len(reports)} environments")
    return 0 if passed else 1


def _summary(report: RedteamReport) -> str:
    counts = f"{report.own} own hacks, {report.general} general ones"
    exempt = f"; not applicable: {', '.join(report.exemptions)}" if report.exemptions else ""
    paid = "".join(f"\n      {one.family}: {one.hack}: {one.message}" for one in report.payments)
    return f"{counts}{exempt}{paid}"


def _print(report: RedteamReport) -> None:
    for one in report.payments:
        echo(safe_text(f"FAIL  {one.family}: {one.hack}: {one.message}"))
    for family, reason in report.exemptions.items():
        echo(safe_text(f"skip  {family}: {reason}"))
    sources = f"{report.own} of its own, {report.general} general ones"
    echo(f"{len(report.payments)} of {report.own + report.general} hacks pay ({sources})")
