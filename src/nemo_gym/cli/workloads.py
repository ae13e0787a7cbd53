"""Environments and benchmarks with folders of their own: which one a command means, and what is wrong."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.cli.selection import Selected
from nemo_gym.cli.texts import echo, print_error, print_json, print_note
from nemo_gym.config.instances import Instance
from nemo_gym.config.manifest import Kind
from nemo_gym.config.overrides import is_override
from nemo_gym.config.workloads import Workload, find_workload, find_workloads, workload_at
from nemo_gym.runs.loop import run_async
from nemo_gym.wire.errors import UsageError
from nemo_gym.workloads.checks import check_workload


def asked_workload(
    selected: Selected, kind: Kind | None, manifest: Path | None, *, needed: bool
) -> Workload | None:
    """The workload that a command is about; None when it is about a configuration.

    Args:
        needed: it must be one.

    Raises:
        UsageError: there is none of that name.
    """
    if manifest is not None:
        return workload_at(manifest)
    names = [word for word in selected.words or [] if not is_override(word)]
    if kind or needed:
        if len(names) != 1:
            raise UsageError("give the name of one environment or benchmark, or --manifest PATH")
        return find_workload(names[0], kind, selected.roots())
    if len(names) != 1:
        return None
    with_manifest = (one for one in find_workloads(selected.roots()) if one.manifest.is_file())
    return next((one for one in with_manifest if one.name == names[0]), None)


def validate_workload(workload: Workload, selected: Selected, *, sync: bool, json: bool) -> int:
    """Check a workload and print what was found; the exit code."""
    overrides = [word for word in selected.words or [] if is_override(word)]
    verdict = run_async(check_workload(workload, overrides, selected.search_dir or [], sync=sync))
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
                "instances": [summary(instance) for instance in instances],
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


def summary(instance: Instance) -> dict[str, object]:
    """What there is to know of an instance at a glance."""
    return {
        "name": instance.name,
        "kind": instance.kind,
        "implementation": instance.implementation,
        "uses": {field: reference.name for field, reference in instance.references.items()},
        "datasets": [dataset.name for dataset in instance.datasets],
    }
