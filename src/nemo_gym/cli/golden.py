"""`gym env golden`: a rollout of a run becomes a known case of its environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemo_gym.cli.texts import echo
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.environments.base import Environment


def golden(
    name: Annotated[str, typer.Argument(help="The environment: a name, `path.py` or `path.py:Class`.")],
    run: Annotated[Path, typer.Option("--run", metavar="PATH", help="The rollouts file of a run.")],
    task: Annotated[int, typer.Option(min=0, metavar="N", help="The task of the rollout.")] = 0,
    repeat: Annotated[int, typer.Option(min=0, metavar="N", help="Which repeat of the task.")] = 0,
    case: Annotated[str, typer.Option(help="What the case is called. Default: after the rollout.")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Default: golden.jsonl beside the environment."),
    ] = None,
) -> None:
    """Write a rollout down as a golden case: from now on its output must earn its reward in `gym env check`.

    Look at the rollout first: a golden case says that its reward is right.

    Example: gym env golden my_env --run results/my_env.jsonl --task 3 --case "rounds up"
    """
    from nemo_gym.environments.base import StepEnvironment
    from nemo_gym.environments.discovery import find_environment
    from nemo_gym.environments.golden_case import append_case, case_of
    from nemo_gym.runs.store import RunStore
    from nemo_gym.support.modules import PACKAGE
    from nemo_gym.wire import keys
    from nemo_gym.wire.jsonl import decode

    kind = find_environment(name)
    path = output or kind.folder() / "golden.jsonl"
    if output is None and kind.folder().is_relative_to(PACKAGE):
        raise UsageError(f"{kind.name()} comes with this package: say where with --output PATH")
    store = RunStore(run)
    rollout = store.rollout(task, repeat)
    _check_environment(run, name, kind)
    if rollout.response is None or rollout.reward is None:
        raise UsageError(f"task {task}, repeat {repeat} of {run} was not scored: there is nothing to expect")
    written = case_of(
        case or f"task {task}, repeat {repeat} of {run.stem}",
        row=store.planned_row(task, repeat) or rollout.row,
        output=rollout.response.output,
        reward=rollout.reward,
        reward_range=kind.reward_range,
        steps=issubclass(kind, StepEnvironment),
        asked_models=decode(store.row(task, repeat).line).get(keys.ASKED_MODELS),
    )
    append_case(path, written)
    expected = "" if written.expected_reward is None else f" {written.expected_reward:g}"
    echo(f"wrote {written.name!r} ({written.kind}{expected}) to {path}\n\nnext:  gym env check {name}")


def _check_environment(run: Path, name: str, kind: type[Environment]) -> None:
    """Refuse a run of another environment, as far as the name in its manifest says which one that was."""
    from nemo_gym.config.short_form import implementation_name
    from nemo_gym.runs.manifest import load_manifest
    from nemo_gym.runs.paths import RunPaths

    path = RunPaths.of(run).manifest
    ref = load_manifest(path).identity.environment.get("ref") if path.exists() else None
    if not isinstance(ref, str) or not ref:
        return
    file = kind.source_file()
    if implementation_name(ref) not in (
        name,
        implementation_name(name),
        kind.name(),
        file.stem,
        file.parent.name,
    ):
        raise UsageError(f"{run} is a run of {ref}, not of {name}")
