"""`KEY=VALUE` words after an environment's name: they set its settings, as they do in `gym run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.cli.selection import ConfigSelection
from nemo_gym.cli.words import read_settings
from nemo_gym.config.errors import nearest
from nemo_gym.config.overrides import is_override
from nemo_gym.config.selectors import candidates
from nemo_gym.config.settings import SETTINGS, WITHOUT_EFFECT
from nemo_gym.config.short_form import implementation_name
from nemo_gym.config.sources import find_file
from nemo_gym.config.values import format_value
from nemo_gym.environments.discovery import find_environment
from nemo_gym.runs.asked_specs import split_settings
from nemo_gym.wire.errors import UsageError


def with_environment_settings(selection: ConfigSelection, roots: Sequence[Path]) -> ConfigSelection:
    """The same selection with the settings of its environment written as changes to the configuration.

    Only where one word names an environment, by name or file. A word with a dot, a plus or a tilde changes
    the configuration anyway.

    Raises:
        UsageError: a word is neither a setting of the environment nor one of a configuration.
    """
    words = selection.words or []
    names = selection.names
    others = (selection.config, selection.resources_server, selection.environment, selection.benchmark)
    if len(names) != 1 or any(others) or _has_configuration(names[0], roots):
        return selection
    bare = [word for word in words if is_override(word) and _is_bare(word)]
    if not bare:
        return selection
    name = implementation_name(names[0])
    kind = find_environment(names[0], roots=roots)
    fields = (*kind.Config.__struct_fields__, *kind.asks)
    changes: list[str] = []
    settings: dict[str, Any] = {}
    for word in words:
        key = word.partition("=")[0]
        if word not in bare or (key in SETTINGS | WITHOUT_EFFECT and key not in fields):
            changes.append(word)
        elif key in fields:
            settings |= read_settings([word])
            changes.append(f"++{name}.resources_servers.{name}.{key}={format_value(settings[key])}")
        else:
            hint = nearest(key, [*fields, *SETTINGS])
            raise UsageError(f"environment {name} has no setting {key!r} ({_listed(fields)}).{hint}")
    try:
        msgspec.convert(split_settings(kind, settings)[0], kind.Config, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"environment {name}: {error} ({_listed(fields)})") from None
    return replace(selection, words=changes)


def _listed(names: Sequence[str]) -> str:
    return f"settings: {', '.join(names) or 'none'}"


def _is_bare(word: str) -> bool:
    return not word.startswith(("+", "~")) and "." not in word.partition("=")[0]


def _has_configuration(name: str, roots: Sequence[Path]) -> bool:
    """Whether there is a configuration file for an environment of this name."""
    if name.endswith(".py") or ".py:" in name:
        return False
    groups = ("environments", "resources_servers")
    return any(find_file(path, roots) for group in groups for path in candidates(group, name))
