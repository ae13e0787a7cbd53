"""Configurations of Data Designer as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from nemo_gym.config.yaml_files import read_data
from nemo_gym.siblings.data_designer.files import whole_file
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.json_values import object_of

PARTS: Final = (
    "columns", "model_configs", "tool_configs", "seed_config", "constraints", "profilers", "processors",
)  # fmt: skip
"""The parts of a configuration."""
_CONFIG: Final = "data_designer"


class _Skip(msgspec.Struct):
    when: str


class _Column(msgspec.Struct):
    name: str
    column_type: str
    sampler_type: str = ""
    skip: _Skip | None = None


class _Tools(msgspec.Struct):
    providers: list[str]


class _Model(msgspec.Struct):
    inference_parameters: dict[str, Any] | None = None


class _Parts(msgspec.Struct):
    """What this package reads itself; Data Designer checks the rest."""

    columns: list[_Column]
    model_configs: list[_Model] | None = None
    tool_configs: list[_Tools] | None = None


def load_config(path: Path) -> dict[str, Any]:
    """A configuration in the full form, `{data_designer: {columns, ...}, library_version: ...}`. A file may
    also have the parts at the top.

    Raises:
        UsageError: it can't be read, or is no configuration.
    """
    document = read_data(path)
    if _CONFIG not in document:
        document = {_CONFIG: document}
    parts = object_of(document[_CONFIG])
    if not isinstance(parts.get("columns"), list):
        raise UsageError(f"{path}: expected a Data Designer configuration, with a list `columns`")
    for name in parts:
        if name not in PARTS:
            raise UsageError(f"{path}: a configuration has no part {name!r}.{did_you_mean(str(name), PARTS)}")
    check_shape(parts, _Parts, str(path))
    return document


def check_shape(value: Any, kind: type[msgspec.Struct], where: str) -> None:
    """Check that a part of a configuration has the fields of a struct; it may have others.

    Raises:
        UsageError: a field is missing or has another type; `where` begins the message.
    """
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"{where}: {str(error).replace('$.', '')}") from None


def write_yaml(path: Path, document: dict[str, Any], *, inputs: Iterable[Path] = ()) -> None:
    """Write a document whole or not at all.

    Raises:
        UsageError: the path can't be written, or is one of `inputs`.
    """
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    with whole_file(path, inputs=inputs) as file:
        file.write(text.encode())
