"""`gym env resolve` and `gym env validate`: look at a configuration without starting anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemo_gym.cli.selection import Json, Selected, with_selectors
from nemo_gym.cli.texts import echo, print_json, print_note
from nemo_gym.config.manifest import Kind
from nemo_gym.wire.errors import GymError

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config


@with_selectors
def resolve(
    selected: Selected,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the whole configuration that the arguments amount to, secrets masked. Ports are left open (-1).

    Example: gym env resolve mcqa --model-type vllm_model policy_base_url=http://localhost:8000/v1
    """
    resolved_config = selected.resolve(offline=True)
    _print_notices(resolved_config)
    if json:
        print_json(resolved_config.without_secrets())
    else:
        from nemo_gym.config.tree import to_yaml

        echo(to_yaml(resolved_config.without_secrets()), end="")


@with_selectors
def validate(
    selected: Selected,
    kind: Annotated[Kind | None, typer.Option(help="Check the manifest of this kind of that name.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Check this manifest, and what belongs to it.")
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Write into the manifest what the configuration says.")
    ] = False,
    json: Json = False,
) -> None:
    """Check a configuration without starting anything: files, references, values, instances, their code. Of
    an environment or a benchmark with a manifest also that, the data, and whether they agree.

    Example: gym env validate --config my_env.yaml --model-type vllm_model

    Example: gym env validate my_env --sync
    """
    from nemo_gym.cli.workloads import asked_workload, summary, validate_workload
    from nemo_gym.config.implementations import check_implementations

    try:
        workload = asked_workload(selected, kind, manifest, needed=sync)
        if workload is not None:
            sys.exit(validate_workload(workload, selected, sync=sync, json=json))
        resolved_config = selected.resolve(offline=True)
        resolved_config.require_instances()
        check_implementations(resolved_config.instances.values(), selected.roots())
    except GymError as error:
        if not json:
            raise
        print_json({"valid": False, "error": type(error).__name__, "message": str(error)})
        sys.exit(error.exit_code)
    if json:
        instances = [summary(instance) for instance in resolved_config.instances.values()]
        print_json(
            {
                "valid": True,
                "instances": instances,
                "files": resolved_config.files,
                "notices": resolved_config.notices,
            }
        )
        return
    _print_notices(resolved_config)
    for instance in resolved_config.instances.values():
        echo(f"{instance.name:<32} {instance.kind:<22} {instance.implementation}")
    echo("valid")


def _print_notices(config: Config) -> None:
    for notice in config.notices:
        print_note(notice)
