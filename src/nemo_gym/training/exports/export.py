"""A run's rollouts in the format of a trainer, with a card that counts what was taken and left."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.store import EVERY, RunStore
from nemo_gym.training.exports import atif
from nemo_gym.training.exports.formats import FORMATS, FormatOptions, Formatter
from nemo_gym.training.exports.parquet import column_values, write_parquet
from nemo_gym.training.exports.selection import Choice, Example, Selector
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.jsonl import encode

FORMAT_NAMES: Final = (*FORMATS, "parquet", "atif")


class ExportReport(msgspec.Struct, kw_only=True):
    """What an export has read and written."""

    format: str
    run: str
    path: str
    tasks: int
    rollouts: int
    rows: dict[str, int]
    """The number of rows by the name of the file."""
    left_out: dict[str, int]
    """The number of rollouts, and of tasks without a pair, by the reason."""
    choice: Choice
    options: FormatOptions


def export(
    run: Path,
    format: str,
    target: Path | None = None,
    *,
    choice: Choice | None = None,
    options: FormatOptions | None = None,
    validation: float = 0.0,
) -> ExportReport:
    """Write a run's rollouts in a format, in the order of task and repeat, and a card beside them.

    Args:
        run: the rollouts file of a run.
        format: one of `FORMAT_NAMES`.
        target: the file, or the folder of `atif` and of an export with `validation`; None is beside the run.
        validation: the share of tasks that go to `validation.jsonl`, the others to `training.jsonl`; all
            rollouts of a task go to the same file.

    Raises:
        UsageError: there is no such run or format, or a value is out of its range.
        DataError: a line of the run is not a row of a run.
    """
    if format not in FORMAT_NAMES:
        raise UsageError(f"there is no format {format!r}.{did_you_mean(format, FORMAT_NAMES)}")
    if not 0 <= validation < 1:
        raise UsageError(f"validation: expected a share from 0 to below 1, got {validation:g}")
    if validation and format in ("parquet", "atif"):
        raise UsageError(f"validation: {format} has one file or folder; export twice from two runs instead")
    choice = choice or Choice()
    settings = msgspec.structs.replace(options or FormatOptions(), run=run.stem)
    for name, value in {**msgspec.structs.asdict(choice), **msgspec.structs.asdict(settings)}.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name}: expected a number, got {value}")
    if format == "grpo":  # advantages need every rollout of a group
        choice = msgspec.structs.replace(choice, duplicates=True)
    selector = Selector(choice)
    is_folder = format == "atif" or bool(validation)
    path = target or _default_path(run, format, is_folder=is_folder)
    groups = selector.groups(RunStore(run).groups(EVERY, expand=False))
    _check_target(path, run, is_folder=is_folder)
    left_out: Counter[str] = Counter()
    with _replacing(path) as unfinished:
        if format == "parquet":
            rows = {path.name: write_parquet(unfinished, _columns(groups, settings.run))}
        elif format == "atif":
            rows = {path.name: _write_trajectories(unfinished, groups, settings.run)}
        else:
            formatter = Formatter(FORMATS[format], settings, left_out)
            rows = _write_lines(unfinished, groups, formatter, validation)
        report = ExportReport(
            format=format,
            run=str(run),
            path=str(path),
            tasks=selector.tasks,
            rollouts=selector.rollouts,
            rows=rows,
            left_out={name: count for name, count in sorted((selector.left_out + left_out).items()) if count},
            choice=choice,
            options=settings,
        )
        _card_path(unfinished).write_text(card(report), encoding="utf-8")
    return report


def card(report: ExportReport) -> str:
    """The card of an export, as Markdown."""
    lines = [
        f"# {Path(report.run).stem}: {report.format}",
        "",
        f"From `{Path(report.run).name}`: {report.rollouts:,} rollouts of {report.tasks:,} tasks.",
        "",
        "| Written | Rows |",
        "|---|---:|",
        *(f"| `{name}` | {count:,} |" for name, count in report.rows.items()),
        "",
        "| Left out | Count |",
        "|---|---:|",
        *(f"| {name.replace('_', ' ')} | {count:,} |" for name, count in report.left_out.items()),
        "",
        "| Rule | Value |",
        "|---|---|",
        *(
            f"| {name.replace('_', ' ')} | {value} |"
            for part in (report.choice, report.options)
            for name, value in msgspec.structs.asdict(part).items()
            if name != "run"
        ),
    ]
    return "\n".join(lines) + "\n"


def line(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON, also for readers that split text at every line end of Unicode."""
    text = encode(row)
    for end, escaped in _LINE_ENDS:
        text = text.replace(end, escaped)
    return text + b"\n"


_LINE_ENDS: Final = tuple((end.encode(), f"\\u{ord(end):04x}".encode()) for end in "\x85\u2028\u2029")


def _default_path(run: Path, format: str, *, is_folder: bool) -> Path:
    if is_folder:
        return run.with_name(f"{run.stem}.{format}")
    return run.with_name(f"{run.stem}.parquet" if format == "parquet" else f"{run.stem}.{format}.jsonl")


def _card_path(path: Path) -> Path:
    return path / "README.md" if path.is_dir() else path.with_name(f"{path.name}.card.md")


def _columns(groups: Iterable[list[Example]], run: str) -> Iterator[dict[str, Any]]:
    return (column_values(example, run) for group in groups for example in group)


def _write_lines(
    path: Path, groups: Iterable[list[Example]], formatter: Formatter, validation: float
) -> dict[str, int]:
    if not validation:
        with path.open("wb") as file:
            count = 0
            for group in groups:
                for row in formatter.rows(group):
                    file.write(line(row))
                    count += 1
        return {path.name: count}
    counts = {"training.jsonl": 0, "validation.jsonl": 0}
    path.mkdir()
    with (path / "training.jsonl").open("wb") as training, (path / "validation.jsonl").open("wb") as held:
        files = {"training.jsonl": training, "validation.jsonl": held}
        for group in groups:
            name = "validation.jsonl" if _share(group[0]) < validation else "training.jsonl"
            for row in formatter.rows(group):
                files[name].write(line(row))
                counts[name] += 1
    return counts


def _write_trajectories(path: Path, groups: Iterable[list[Example]], run: str) -> int:
    count = 0
    path.mkdir()
    for group in groups:
        for example in group:
            content = msgspec.json.format(encode(atif.trajectory(example, run)), indent=1)
            (path / f"{atif.name(example, run)}.json").write_bytes(content)
            count += 1
    return count


def _share(example: Example) -> float:
    """A number from 0 to below 1 that depends only on the task, so every export splits in the same way."""
    digest = blake2b(encode(example.conversation.prompt), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _check_target(path: Path, run: Path, *, is_folder: bool) -> None:
    """Check that no data that an export did not write is lost when `path` is replaced.

    Raises:
        UsageError: with what is at `path`.
    """
    if path.resolve() in {own.resolve() for own in RunPaths.of(run).existing()}:
        raise UsageError(f"{path} is a file of the run itself: choose another --output")
    if path.suffix == ".jsonl" and RunPaths.of(path).manifest.exists():
        raise UsageError(f"{path} has the rollouts of another run: choose another --output")
    if not path.exists():
        return
    if path.is_dir():
        if not is_folder:
            raise UsageError(f"{path} is a folder: choose a file as --output")
        entries = list(path.iterdir())
        if entries and not (all(map(_is_own, entries)) and path / "README.md" in entries):
            raise UsageError(f"{path} is a folder that is not an earlier export: choose another --output")
    elif is_folder or not path.is_file():
        raise UsageError(
            f"{path} is not a {'folder' if is_folder else 'regular file'}: choose another --output"
        )


_OWN_NAMES: Final = re.compile(r"README\.md|training\.jsonl|validation\.jsonl|.+-\d+-\d+\.json")


def _is_own(entry: Path) -> bool:
    return _OWN_NAMES.fullmatch(entry.name) is not None and entry.is_file()


@contextmanager
def _replacing(path: Path) -> Generator[Path]:
    """A path beside `path`, which takes its place once it is whole, and then its card.

    Raises:
        UsageError: `path` can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from None
    try:
        unfinished = folder / path.name
        yield unfinished
        if path.is_dir():
            os.replace(path, folder / ".earlier")
        os.replace(unfinished, path)
        if not path.is_dir():
            os.replace(_card_path(unfinished), _card_path(path))
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
