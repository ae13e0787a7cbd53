"""The models that an environment asks, as changes to a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nemo_gym.config.implementations import environment_of, implementation_folder
from nemo_gym.config.resolve import Config
from nemo_gym.config.values import format_value
from nemo_gym.environments.resources import undeclared
from nemo_gym.runs.asked_specs import AskSettings
from nemo_gym.wire.errors import UsageError


def ask_changes(asks: AskSettings, config: Config, roots: Sequence[Path]) -> list[str]:
    """The changes to a configuration that give its environments the models that they ask.

    Raises:
        UsageError: no environment asks a model of that name.
    """
    changes: list[str] = []
    declared: set[str] = set()
    environments: list[str] = []
    for instance in config.of("resources_servers") if asks else ():
        if implementation_folder(instance, roots):
            continue
        kind, _ = environment_of(instance)
        environments.append(kind.name())
        declared.update(kind.asks)
        place = f"++{instance.name}.resources_servers.{instance.implementation}"
        for name in kind.asks:
            changes += [
                f"{place}.{name}.{key}={format_value(value)}" for key, value in asks.get(name, {}).items()
            ]
    for name in asks:
        if name not in declared:
            raise UsageError(undeclared(" and ".join(environments), name, declared))
    return changes
