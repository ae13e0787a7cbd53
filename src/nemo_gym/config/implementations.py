"""Finds the code of an instance: a folder of the user's, or a component of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.instances import Instance
from nemo_gym.config.server_kinds import ENTRYPOINT, PLACEHOLDER, ServerKind, builtin_names
from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment, list_environments
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import did_you_mean


def implementation_folder(instance: Instance, roots: Sequence[Path]) -> Path | None:
    """The first `<root>/<kind>/<implementation>` that has the instance's entry point; None for a component
    that is found by its name."""
    if Path(instance.entrypoint).is_absolute():
        return None
    for root in roots:
        folder = root / instance.kind / instance.implementation
        if (folder / instance.entrypoint).is_file():
            return folder
    return None


def environment_reference(instance: Instance) -> str:
    """The reference for `find_environment` of a resources server without a folder."""
    return instance.implementation if instance.entrypoint == ENTRYPOINT else instance.entrypoint


def environment_of(instance: Instance) -> tuple[type[Environment], dict[str, Any]]:
    """The class of a resources server without a folder, and the settings of the instance that it has.

    Raises:
        UsageError: there is no such environment.
    """
    kind = find_environment(environment_reference(instance))
    fields = kind.Config.__struct_fields__
    return kind, {key: value for key, value in instance.settings.items() if key in fields}


def check_implementations(instances: Iterable[Instance], roots: Sequence[Path]) -> None:
    """Check that every instance has code, and that built-in environments have their settings. A placeholder
    for a model needs none.

    Raises:
        ConfigError: with every instance that fails the check.
    """
    problems = [problem for instance in instances for problem in _problems(instance, roots)]
    if problems:
        raise ConfigError("\n".join(problems))


def _problems(instance: Instance, roots: Sequence[Path]) -> Iterator[str]:
    name = instance.implementation
    if not _exists(instance, roots):
        hint = did_you_mean(name, _names(instance.kind, roots))
        yield f"{instance.name}: {instance.kind} has no {name!r}.{hint}"
    elif instance.kind == "resources_servers" and implementation_folder(instance, roots) is None:
        yield from _setting_problems(instance)


def _setting_problems(instance: Instance) -> Iterator[str]:
    if instance.implementation not in builtin_names(instance.kind):
        return
    config = find_environment(instance.implementation, roots=[]).Config
    settings = {key: value for key, value in instance.settings.items() if key in config.__struct_fields__}
    try:
        msgspec.convert(settings, config, strict=False)
    except msgspec.ValidationError as error:
        yield f"{instance.name}: {explain_misfit(error, config)}"


def _exists(instance: Instance, roots: Sequence[Path]) -> bool:
    if instance.implementation == PLACEHOLDER or implementation_folder(instance, roots):
        return True
    if instance.kind == "resources_servers" and instance.entrypoint != ENTRYPOINT:
        return Path(instance.entrypoint.partition(":")[0]).exists()
    return instance.implementation in _names(instance.kind, roots)


def _names(kind: ServerKind, roots: Sequence[Path]) -> set[str]:
    folders = {folder.name for root in roots for folder in (root / kind).glob("*") if folder.is_dir()}
    infos = list_environments(roots=roots) if kind == "resources_servers" else ()
    return {*builtin_names(kind), *folders, *(info.name for info in infos)}
