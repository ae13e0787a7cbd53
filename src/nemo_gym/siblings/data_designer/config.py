"""Configurations of Data Designer as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.yaml_files import read_mapping
from nemo_gym.siblings.data_designer.files import whole_file
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.json_values import object_of, objects

PARTS: Final = (
    "columns", "model_configs", "tool_configs", "seed_config", "constraints", "profilers", "processors",
)  # fmt: skip
"""The parts of a configuration."""
_CONFIG: Final = "data_designer"
_SEEDS: Final = "seed_config"
"""The part that is no list."""


def load_config(path: Path) -> dict[str, Any]:
    """A configuration in the full form, `{data_designer: {columns, ...}, library_version: ...}`. A file may
    also have the parts at the top.

    Raises:
        UsageError: it can't be read, or is no configuration.
    """
    document = read_yaml(path)
    if _CONFIG not in document:
        document = {_CONFIG: document}
    parts = object_of(document[_CONFIG])
    if not isinstance(parts.get("columns"), list):
        raise UsageError(f"{path}: expected a Data Designer configuration, with a list `columns`")
    for name, part in parts.items():
        if name not in PARTS:
            raise UsageError(f"{path}: a configuration has no part {name!r}.{did_you_mean(str(name), PARTS)}")
        if name != _SEEDS and part is not None:
            objects(part, f"{path}: {name}")
    return document


def write_yaml(path: Path, document: dict[str, Any]) -> None:
    """Write a document whole or not at all.

    Raises:
        UsageError: the path can't be written.
    """
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    with whole_file(path) as file:
        file.write(text.encode())


def read_yaml(path: Path) -> dict[str, Any]:
    """The object in a YAML file.

    Raises:
        UsageError: it can't be read, or holds something else.
    """
    try:
        return read_mapping(path)
    except ConfigError as error:
        raise UsageError(str(error)) from None
