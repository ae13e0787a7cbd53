"""Finds the configuration files of names such as that of the environment `mcqa`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from nemo_gym.config.builtins import builtin_config
from nemo_gym.config.model_flavors import flavors
from nemo_gym.config.server_kinds import as_kind, builtin_names
from nemo_gym.config.sources import BUILT_IN, find_file
from nemo_gym.environments.discovery import list_environments
from nemo_gym.models.meanings import ready_meaning
from nemo_gym.wire.errors import UsageError, did_you_mean

GROUPS: Final = {
    "resources_server": ("resources_servers",),
    "reuse_verifier": ("resources_servers",),
    "environment": ("environments", "resources_servers"),
    "benchmark": ("benchmarks",),
    "model_type": ("responses_api_models",),
}
"""The folders of a root in which the names of a setting are looked up."""

_NAME: Final = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")


def config_path(setting: str, name: str, roots: Sequence[Path]) -> str:
    """The path, relative to a search root, of the configuration that the value of a setting means.

    Args:
        setting: one of `GROUPS`.
        name: `name`, or `name/flavor` for another configuration than the first of its folder.

    Raises:
        UsageError: there is none; with the path, the nearest names and the folders that were searched.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{_words(setting)} {name}: expected NAME or NAME/FLAVOR").about(setting)
    paths = [path for group in GROUPS[setting] for path in candidates(group, name)]
    for path in paths:
        if find_file(path, roots) or builtin_config(path, roots) is not None:
            return path
    if setting == "model_type" and (meaning := ready_meaning(name)):
        raise UsageError(f"no model type {name!r}: use {meaning}").about(setting)
    names = sorted({one for group in GROUPS[setting] for one in _names(group, roots)})
    looked = ", ".join(map(str, roots))
    folder, _, flavor = name.partition("/")
    near = (flavor, _flavors(setting, folder, roots)) if folder in names else (folder, names)
    hint = did_you_mean(*near)
    raise UsageError(
        f"{_words(setting)} {name} means {paths[0]}, which does not exist.{hint} (looked in {looked})"
    ).about(setting)


def _words(setting: str) -> str:
    return setting.replace("_", " ")


def candidates(group: str, name: str) -> Iterator[str]:
    """The paths, relative to a search root, that a name may mean; the first existing one counts."""
    folder, slash, flavor = name.partition("/")
    for file in (flavor,) if slash else (folder, "config"):
        yield f"{group}/{folder}/configs/{file}.yaml"
        yield f"{group}/{folder}/{file}.yaml"


def _flavors(setting: str, folder: str, roots: Sequence[Path]) -> set[str]:
    """The flavors in a folder."""
    homes = [root / group / folder for root in roots for group in GROUPS[setting]]
    files = (file for home in homes for sub in ("", "configs") for file in (home / sub).glob("*.yaml"))
    return {file.stem for file in files} | {*(flavors(folder) if setting == "model_type" else ())}


def _names(group: str, roots: Sequence[Path]) -> list[str]:
    kind = as_kind(group)
    folders = [
        folder
        for root in (*roots, BUILT_IN)
        for folder in (root / group).glob("*")
        if any(folder.glob("**/*.yaml"))
    ]
    if kind == "resources_servers":
        return [folder.name for folder in folders] + [info.name for info in list_environments(roots=roots)]
    return [folder.name for folder in folders] + (builtin_names(kind) if kind else [])
