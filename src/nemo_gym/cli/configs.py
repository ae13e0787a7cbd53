"""`gym env resolve` and `gym env validate`: look at a configuration without starting anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemo_gym.cli.output import echo, print_error, print_json, print_note
from nemo_gym.cli.selection import ConfigSelection, Json, with_selectors
from nemo_gym.config.manifest import Kind
from nemo_gym.wire.errors import GymError, UsageError

if TYPE_CHECKING:
    from nemo_gym.config.instances import Instance
    from nemo_gym.config.workloads import Workload


@with_selectors
def resolve(
    selection: ConfigSelection,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the whole configuration that the arguments select, secrets masked. Ports are left open (-1).

    Example: gym env resolve mcqa --model-type vllm_model policy_base_url=http://localhost:8000/v1
    """
    from nemo_gym.config.tree import to_yaml

    config = selection.resolve(offline=True)
    for notice in config.notices:
        print_note(notice)
    if json:
        print_json(config.without_secrets())
    else:
        echo(to_yaml(config.without_secrets()), end="")


@with_selectors
def validate(
    selection: ConfigSelection,
    kind: Annotated[
        Kind | None, typer.Option(help="Check the manifest of the environment or benchmark NAME.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Check this manifest and its environment or benchmark.")
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Write into the manifest what the configuration says.")
    ] = False,
    json: Json = False,
) -> None:
    """Check a configuration without starting anything: files, references, values, instances and their code.
    For an environment or a benchmark with a manifest, also check the manifest, the data, and that they agree.

    Example: gym env validate --config my_env.yaml --model-type vllm_model

    Example: gym env validate my_env --sync
    """
    from nemo_gym.config.implementations import check_implementations

    try:
        workload = _workload(selection, kind, manifest, needed=sync)
        if workload is not None:
            sys.exit(_validate_workload(workload, selection, sync=sync, json=json))
        config = selection.resolve(offline=True)
        config.require_instances()
        instances = config.instances.values()
        check_implementations(instances, selection.roots())
    except GymError as error:
        if not json:
            raise
        print_json({"valid": False, "error": type(error).__name__, "message": str(error)})
        sys.exit(error.exit_code)
    if json:
        summaries = [_summary(instance) for instance in instances]
        document = {"valid": True, "instances": summaries, "files": config.files, "notices": config.notices}
        print_json(document)
        return
    for notice in config.notices:
        print_note(notice)
    for instance in instances:
        echo(f"{instance.name:<32} {instance.kind:<22} {instance.implementation}")
    echo("valid")


def _workload(
    selection: ConfigSelection, kind: Kind | None, manifest: Path | None, *, needed: bool
) -> Workload | None:
    """The environment or benchmark that a command names, if it has its own folder; None otherwise.

    Raises:
        UsageError: there is none of that name, and one is needed.
    """
    from nemo_gym.config.workloads import find_workload, find_workloads, workload_at

    if manifest is not None:
        return workload_at(manifest)
    names = selection.names
    if kind or needed:
        if len(names) != 1:
            raise UsageError("give the name of one environment or benchmark, or --manifest PATH")
        return find_workload(names[0], kind, selection.roots())
    if len(names) != 1:
        return None
    workloads = (one for one in find_workloads(selection.roots()) if one.manifest.is_file())
    return next((one for one in workloads if one.name == names[0]), None)


def _validate_workload(workload: Workload, selection: ConfigSelection, *, sync: bool, json: bool) -> int:
    """Check a workload and print the verdict; the exit code."""
    from nemo_gym.runs.loop import run_async
    from nemo_gym.workloads.checks import check_workload

    verdict = run_async(check_workload(workload, selection.changes, selection.search_dir or [], sync=sync))
    valid = not verdict.problems
    instances = verdict.config.instances.values() if verdict.config else ()
    if json:
        print_json(
            {
                "valid": valid,
                "name": workload.name,
                "kind": workload.kind,
                "manifest": str(workload.manifest),
                "profile": verdict.profile,
                "synced": verdict.synced,
                "problems": verdict.problems,
                "notices": verdict.notices,
                "instances": [_summary(instance) for instance in instances],
            }
        )
        return 0 if valid else 1
    for notice in verdict.notices:
        print_note(notice)
    if verdict.synced:
        echo(f"wrote {workload.manifest}")
    if not valid:
        print_error("\n".join(verdict.problems))
        return 1
    for instance in instances:
        echo(f"{instance.name:<32} {instance.kind:<22} {instance.implementation}")
    echo(f"valid: {workload.kind} {workload.name}, {verdict.profile}")
    return 0


def _summary(instance: Instance) -> dict[str, object]:
    return {
        "name": instance.name,
        "kind": instance.kind,
        "implementation": instance.implementation,
        "uses": {field: reference.name for field, reference in instance.references.items()},
        "datasets": [dataset.name for dataset in instance.datasets],
    }
