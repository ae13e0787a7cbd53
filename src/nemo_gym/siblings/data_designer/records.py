"""The records of a data set: a folder that Data Designer wrote, a Parquet file, or JSONL."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.jsonl import read_json, read_rows
from nemo_gym.wire.task import Row

NATIVE: Final = "gym_tasks"
"""The `schema_transform` processor whose rows are tasks."""
_CONFIG: Final = "builder_config.json"
"""The configuration that Data Designer writes beside its data set."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The files of a data set.

    Args:
        name: the name of the data set.
        files: Parquet or JSONL files, in order.
        native: whether the records are the rows of the processor `gym_tasks`.
    """

    name: str
    files: tuple[Path, ...]
    native: bool = False
    config: Path | None = None

    def columns(self) -> list[str]:
        """The names of all columns, in order.

        Raises:
            UsageError: a file can't be read.
        """
        names: dict[str, None] = {}
        for path in self.files:
            if path.suffix == ".parquet":
                names |= dict.fromkeys(_parquet(path).schema_arrow.names)
            else:
                for _, record in read_rows(path):
                    names |= dict.fromkeys(record)
        return list(names)

    def records(self) -> Iterator[tuple[str, Row]]:
        """Every record with its place, such as `batch_00000.parquet:17`; rows count from 1.

        Raises:
            UsageError: a file can't be read.
        """
        for path in self.files:
            for number, record in _records(path):
                yield f"{path.name}:{number}", record

    def sampled_columns(self) -> list[str]:
        """The columns whose values were sampled, as the configuration beside the data set says; empty without
        one."""
        if self.config is None:
            return []
        document = object_of(read_json(self.config))
        columns = objects_of(object_of(document.get("data_designer")).get("columns"))
        return [one["name"] for one in columns if one.get("column_type") == "sampler" and not one.get("drop")]


def open_dataset(source: Path, *, native: bool = False) -> Dataset:
    """The data set at a path: `<artifacts>/<dataset>`, a folder of Parquet files, a Parquet file or JSONL.

    Args:
        native: take the rows of the processor `gym_tasks` instead, if the folder has them.

    Raises:
        UsageError: there is none.
    """
    if source.suffix in (".csv", ".tsv"):
        raise UsageError(
            f"{source}: Parquet and JSONL are read, and keep the types of values; this file has none"
        )
    if source.is_file():
        return Dataset(source.stem, (source,))
    if not source.is_dir():
        raise UsageError(f"{source}: there is no such file or folder")
    config = source / _CONFIG
    about = config if config.is_file() else None
    tasks = sorted((source / "processors-files" / NATIVE).glob("*.parquet"))
    if native and tasks:
        return Dataset(source.name, tuple(tasks), native=True, config=about)
    for folder in (source / "parquet-files", source):
        for ending in ("*.parquet", "*.jsonl"):
            if files := sorted(folder.glob(ending)):
                return Dataset(source.name, tuple(files), config=about)
    inner = sorted(folder.parent.name for folder in source.glob("*/parquet-files"))
    hint = f"; it holds the data sets {', '.join(inner)}: name one" if inner else ""
    raise UsageError(f"{source}: no *.parquet and no *.jsonl in it or its parquet-files{hint}")


def _records(path: Path) -> Iterator[tuple[int, Row]]:
    if path.suffix != ".parquet":
        yield from read_rows(path)
        return
    number = 0
    try:
        for batch in _parquet(path).iter_batches(batch_size=_ROWS):
            for record in batch.to_pylist():
                number += 1
                yield number, cast("Row", as_json(record))
    except (OSError, ValueError, OverflowError) as error:
        raise UsageError(f"{path}: can't be read after row {number}: {error}") from None


def _parquet(path: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError(f"{path}: reading Parquet needs pyarrow: pip install 'nemo-gym[training]'") from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are subclasses of these
        raise UsageError(f"{path}: not a Parquet file: {error}") from None


_ROWS: Final = 256
"""Rows that are decoded at a time."""


def as_json(value: Any) -> Any:
    """A value of a column as JSON: times as ISO 8601, bytes as Base64, and null for numbers that are none."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): as_json(item) for key, item in cast("dict[Any, Any]", value).items()}
        case list() | tuple():
            return [as_json(item) for item in cast("list[Any]", value)]
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat() if value == value else None  # a missing time is unequal to itself
        case bytes():
            return base64.b64encode(value).decode()
        case decimal.Decimal() | uuid.UUID() | datetime.timedelta():
            return str(value)
        case _ if hasattr(value, "tolist"):  # NumPy's values and arrays
            return as_json(value.tolist())
        case _:
            return None if type(value).__name__ == "NAType" else str(value)  # pandas' missing value
