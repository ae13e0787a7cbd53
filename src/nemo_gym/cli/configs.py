"""`gym env resolve` and `gym env validate`: look at a configuration without starting anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nemo_gym.cli.selection import (
    Benchmarks,
    ConfigFiles,
    Environments,
    ModelKey,
    ModelName,
    ModelTypes,
    ModelUrl,
    ResourcesServers,
    SearchDirs,
    Words,
    configuration,
)
from nemo_gym.cli.texts import print_json
from nemo_gym.wire.errors import GymError

if TYPE_CHECKING:
    from nemo_gym.config.instances import Instance
    from nemo_gym.config.resolve import Config


def resolve(
    words: Words = None,
    config: ConfigFiles = None,
    search_dir: SearchDirs = None,
    resources_server: ResourcesServers = None,
    environment: Environments = None,
    benchmark: Benchmarks = None,
    model_type: ModelTypes = None,
    model: ModelName = "",
    model_url: ModelUrl = "",
    model_api_key: ModelKey = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the whole configuration that the arguments amount to, secrets masked. Ports are left open (-1).

    Example: gym env resolve mcqa --model-type vllm_model policy_base_url=http://localhost:8000/v1
    """
    found = configuration(
        words,
        config,
        search_dir,
        resources_server=resources_server,
        environment=environment,
        benchmark=benchmark,
        model_type=model_type,
        model=model,
        model_url=model_url,
        model_api_key=model_api_key,
        offline=True,
    )
    _print_notices(found)
    if json:
        print_json(found.masked())
    else:
        from nemo_gym.config.tree import to_yaml

        typer.echo(to_yaml(found.masked()), nl=False)


def validate(
    words: Words = None,
    config: ConfigFiles = None,
    search_dir: SearchDirs = None,
    resources_server: ResourcesServers = None,
    environment: Environments = None,
    benchmark: Benchmarks = None,
    model_type: ModelTypes = None,
    model: ModelName = "",
    model_url: ModelUrl = "",
    model_api_key: ModelKey = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a configuration without starting anything: files, references, values, instances, their code.

    Example: gym env validate --config my_env.yaml --model-type vllm_model
    """
    from nemo_gym.config.implementations import check_implementations
    from nemo_gym.config.sources import search_roots

    try:
        found = configuration(
            words,
            config,
            search_dir,
            resources_server=resources_server,
            environment=environment,
            benchmark=benchmark,
            model_type=model_type,
            model=model,
            model_url=model_url,
            model_api_key=model_api_key,
            offline=True,
        )
        found.require_instances()
        check_implementations(found.instances.values(), search_roots(search_dir or []))
    except GymError as error:
        if not json:
            raise
        print_json({"valid": False, "error": type(error).__name__, "message": str(error)})
        sys.exit(error.exit_code)
    if json:
        instances = [_summary(instance) for instance in found.instances.values()]
        print_json({"valid": True, "instances": instances, "files": found.files, "notices": found.notices})
        return
    _print_notices(found)
    for instance in found.instances.values():
        typer.echo(f"{instance.name:<32} {instance.kind:<22} {instance.implementation}")
    typer.echo("valid")


def _summary(instance: Instance) -> dict[str, object]:
    return {
        "name": instance.name,
        "kind": instance.kind,
        "implementation": instance.implementation,
        "uses": {field: reference.name for field, reference in instance.references.items()},
        "datasets": [dataset.name for dataset in instance.datasets],
    }


def _print_notices(config: Config) -> None:
    for notice in config.notices:
        sys.stderr.write(f"gym: note: {notice}\n")
