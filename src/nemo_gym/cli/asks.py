"""The models that an environment asks, as flags of a command name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_gym.cli.words import read_settings
from nemo_gym.config.implementations import environment_of, implementation_folder
from nemo_gym.config.resolve import Config
from nemo_gym.environments.resources import ModelMissing, undeclared
from nemo_gym.runs.asked_specs import AskSettings
from nemo_gym.wire.errors import UsageError


def read_asks(words: Sequence[str], **judge: Any) -> dict[str, dict[str, Any]]:
    """`judge.url=URL` as `{"judge": {"url": URL}}`.

    Args:
        judge: settings of the judge by flags of their own; an empty one says nothing.

    Raises:
        UsageError: a word is something else.
    """
    asks: dict[str, dict[str, Any]] = {}
    for key, value in read_settings(words, "a model that the environment asks").items():
        name, dot, setting = key.partition(".")
        if not (name and dot and setting):
            raise UsageError(f"--ask {key}: expected NAME.KEY=VALUE, for instance judge.url=URL")
        asks.setdefault(name, {})[setting] = value
    if given := {key: value for key, value in judge.items() if value}:
        asks.setdefault("judge", {}).update(given)
    return asks


def missing(error: ModelMissing) -> UsageError:
    """The error for a model that is missing, with what supplies it to a command."""
    name = error.name
    return UsageError(
        f"{error}: pass --ask {name}.url=URL --ask {name}.model=NAME, or set {name}: "
        "{type: chat, url: ..., model: ...} among the settings of the environment"
    )


def ask_changes(asks: AskSettings, config: Config, roots: Sequence[Path]) -> list[str]:
    """The changes to a configuration that supply its environments with the models that they ask.

    Raises:
        UsageError: no environment asks a model of that name.
    """
    changes: list[str] = []
    asked: set[str] = set()
    environments: list[str] = []
    for instance in config.of("resources_servers") if asks else ():
        if implementation_folder(instance, roots):
            continue
        kind, _ = environment_of(instance)
        environments.append(kind.name())
        asked.update(kind.asks)
        place = f"++{instance.name}.resources_servers.{instance.implementation}"
        for name in kind.asks:
            changes += [
                f"{place}.{name}.{key}={json.dumps(value)}" for key, value in asks.get(name, {}).items()
            ]
    for name in asks:
        if name not in asked:
            raise UsageError(undeclared(" and ".join(environments), name, asked))
    return changes
