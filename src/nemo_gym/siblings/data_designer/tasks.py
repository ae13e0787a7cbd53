"""`import_tasks`: a data set of Data Designer as a file of tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.environments.answer_verdict import typed_columns
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.runs.loop import run_async
from nemo_gym.siblings.data_designer.columns import Unmappable
from nemo_gym.siblings.data_designer.files import whole_file
from nemo_gym.siblings.data_designer.mapping import ORIGIN, Mapping, is_short
from nemo_gym.siblings.data_designer.records import NATIVE, Dataset, open_dataset
from nemo_gym.wire import keys
from nemo_gym.wire.errors import RolloutError, UsageError
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import check_typed_params
from nemo_gym.wire.task import Row, Task


class LeftOut(msgspec.Struct, frozen=True):
    """A record that is no task."""

    place: str
    """Its file and row."""
    reason: str


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import wrote and what it left out."""

    path: str
    records: int = 0
    tasks: int = 0
    environment: str = ""
    """The environment that checked the tasks; empty where none is named."""
    left_out: list[LeftOut] = []


def import_tasks(
    source: Path,
    output: Path,
    mapping: Mapping | None = None,
    *,
    environment: str = "",
    limit: int | None = None,
) -> ImportReport:
    """Write the records of a data set as task rows.

    A record that the mapping or the environment refuses is left out and named in the report.

    Args:
        source: what `open_dataset` takes.
        mapping: None for records that are tasks already: those of the processor `gym_tasks`, else the columns
            of the data set.
        environment: checks the tasks; by default the environment of the mapping.
        limit: at most so many records.

    Raises:
        UsageError: a column of the mapping does not exist, a file can't be read or written, or `output` is a
            file of the data set.
    """
    return run_async(_import(source, output, mapping, environment, limit))


async def _import(
    source: Path, output: Path, mapping: Mapping | None, environment: str, limit: int | None
) -> ImportReport:
    dataset = open_dataset(source, native=mapping is None)
    columns = dataset.columns()
    if not columns:
        raise UsageError(f"{source}: there is nothing in it")
    if mapping is not None:
        mapping.check_columns(columns)
    elif keys.PARAMS not in columns:
        raise UsageError(
            f"{source}: its rows are no tasks, they have no {keys.PARAMS}: give a mapping or a preset "
            f"(or a schema_transform processor named {NATIVE})"
        )
    ref = environment or (mapping.environment if mapping else "")
    report = ImportReport(path=str(output), environment=ref)
    builder = _Builder(dataset, mapping, dataset.sampled_columns())
    async with _link(ref, mapping.settings if mapping else {}) as link:
        with whole_file(output, inputs=dataset.files) as file:
            for number, (place, record) in enumerate(dataset.records()):
                if limit is not None and number >= limit:
                    break
                report.records += 1
                try:
                    row = await _checked(builder.row(number, record), link)
                except Unmappable as error:
                    report.left_out.append(LeftOut(place, str(error)))
                    continue
                file.write(encode(row) + b"\n")
                report.tasks += 1
    return report


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes task rows of the records of a data set."""

    dataset: Dataset
    mapping: Mapping | None
    sampled: list[str]

    def row(self, number: int, record: Row) -> Row:
        mapping = self.mapping
        if mapping is None:
            row = {name: value for name, value in record.items() if value is not None}
            kept = row.pop(ORIGIN, None)
            columns = object_of(object_of(kept).get("columns"))
        else:
            if refusal := mapping.refusal(record):
                raise Unmappable(refusal)
            row = mapping.task(record)
            columns = mapping.kept(record)
            columns |= {name: record[name] for name in self.sampled if is_short(record.get(name))}
        row.setdefault("task_id", f"{self.dataset.name}-{number}")
        origin: dict[str, Any] = {"dataset": self.dataset.name, "record": number, "columns": columns}
        return {**row, ORIGIN: origin}


async def _checked(row: Row, link: LocalEnvironment | None) -> Row:
    """The row as the environment takes it.

    Raises:
        Unmappable: the row is no task, or none of this environment.
    """
    row = typed_columns(row, Task if link is None else link.environment.Task)
    try:
        check_typed_params(row.get(keys.PARAMS))
        if link is not None:
            async with link.session(row):
                pass
    except (UsageError, RolloutError) as error:
        raise Unmappable(str(error)) from None
    return row


@asynccontextmanager
async def _link(ref: str, settings: dict[str, Any]) -> AsyncGenerator[LocalEnvironment | None]:
    if not ref:
        yield None
        return
    link = LocalEnvironment(build_environment(find_environment(ref), settings))
    try:
        yield link
    finally:
        await link.aclose()


def left_out_lines(report: ImportReport, most: int) -> Iterator[str]:
    """Lines that name the records which were left out; at most so many, then their number."""
    for one in report.left_out[:most]:
        yield f"left out {one.place}: {one.reason}"
    if len(report.left_out) > most:
        yield f"left out {len(report.left_out) - most:,} more"
