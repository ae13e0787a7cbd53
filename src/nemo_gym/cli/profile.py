"""`gym eval profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from nemo_gym.cli.texts import echo, number, print_json
from nemo_gym.cli.words import read_asked
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.runs.reward_profile import Completion


class ProfileSettings(msgspec.Struct):
    """Named as the keys of a configuration."""

    materialized_inputs_jsonl_fpath: str = ""
    rollouts_jsonl_fpath: str = ""
    allow_partial_rollouts: bool = False


def profile(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The same by configuration keys.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="Materialised inputs. Default: those beside the rollouts.")
    ] = None,
    rollouts: Annotated[Path | None, typer.Option(help="Rollouts, JSONL.")] = None,
    allow_partial_rollouts: Annotated[
        bool, typer.Option("--allow-partial-rollouts", help="Take what there is, and say how much it is.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the completion as JSON.")] = False,
) -> None:
    """Write what each task of a run came to beside the task itself, for curricula and filters.

    Example: gym eval profile --rollouts results/mcqa.jsonl

    Example: gym eval profile --inputs in.jsonl --rollouts out.jsonl --allow-partial-rollouts
    """
    from nemo_gym.runs.paths import RunPaths
    from nemo_gym.runs.reward_profile import write_profile

    profile_settings = read_asked(
        ProfileSettings,
        words or [],
        materialized_inputs_jsonl_fpath=str(inputs or ""),
        rollouts_jsonl_fpath=str(rollouts or ""),
        allow_partial_rollouts=allow_partial_rollouts,
    )
    if not profile_settings.rollouts_jsonl_fpath:
        raise UsageError("which rollouts? --rollouts FILE")
    source = Path(profile_settings.rollouts_jsonl_fpath)
    if not source.exists():
        raise UsageError(f"--rollouts {source}: there is no such file")
    plan = Path(profile_settings.materialized_inputs_jsonl_fpath or RunPaths.of(source).inputs)
    profile_paths = write_profile(plan, source, partial=profile_settings.allow_partial_rollouts)
    files = {"reward_profile": str(profile_paths.tasks), "agent_metrics": str(profile_paths.agents)}
    if json:
        print_json({"completion": profile_paths.completion, "files": files})
        return
    echo(_completion(profile_paths.completion))
    for name, path in files.items():
        echo(f"{name:<15} {path}")


def _completion(found: Completion) -> str:
    rows = f"{number(found.completed_rows)} of {number(found.expected_rows)} rollouts"
    tasks = (
        f"{number(found.complete_tasks)} tasks complete, {number(found.partial_tasks)} partial, "
        f"{number(found.missing_tasks)} without any"
    )
    extra = f", {number(found.extra_rows)} extra rows left out" if found.extra_rows else ""
    return f"{rows} ({found.completed_pct:.2f} %): {tasks}{extra}"
