"""Turns a command's arguments and flags into configuration files and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nemo_gym.config.builtins import POLICY, model_tree
from nemo_gym.config.overrides import Override, is_override, parse_override
from nemo_gym.config.selectors import config_path
from nemo_gym.config.server_kinds import PLACEHOLDER
from nemo_gym.config.sources import search_roots

_ENVIRONMENT: Final = "environment"


@dataclass(frozen=True, slots=True)
class Selection:
    """The first two arguments of `resolve`."""

    paths: tuple[str, ...]
    overrides: tuple[Override, ...]


def select(
    words: Sequence[str] = (),
    *,
    config: Sequence[str] = (),
    search_dirs: Sequence[Path] = (),
    selectors: Mapping[str, Sequence[str]] | None = None,
    model: str = "",
    model_url: str | Sequence[str] = "",
    model_api_key: str = "",
) -> Selection:
    """Files and overrides; later ones replace values of earlier ones.

    Args:
        words: overrides, and names of environments (`mcqa`, `env.py`, `env.py:Class`).
        config: paths of YAML files.
        selectors: names by setting, for instance `{"model_type": ["chat"]}`.
        model: the policy model's name; with `model_url` (or several) and `model_api_key` the `policy_*`
            values.

    Raises:
        UsageError: there is no such component, or a word can't be read.
    """
    roots = search_roots(search_dirs)
    changes = [parse_override(word) for word in words if is_override(word)]
    choices = {setting: list(names) for setting, names in (selectors or {}).items()}
    environments = [*choices.get(_ENVIRONMENT, ()), *(word for word in words if not is_override(word))]
    files = [name for name in environments if _is_file(name)]
    choices[_ENVIRONMENT] = [name for name in environments if not _is_file(name)]
    paths = [config_path(setting, name, roots) for setting, names in choices.items() for name in names]
    policy = {"policy_base_url": model_url, "policy_api_key": model_api_key, "policy_model_name": model}
    includes = [Override("add", ("environment",), file) for file in files]
    includes += [Override("add", (key,), value) for key, value in policy.items() if value]
    if model_url:
        includes.append(Override("add", (POLICY,), model_tree(PLACEHOLDER, {})))
    return Selection((*config, *paths), (*includes, *changes))


def _is_file(name: str) -> bool:
    return name.endswith(".py") or ".py:" in name
