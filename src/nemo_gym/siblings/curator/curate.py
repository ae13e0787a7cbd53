"""Curates a file of tasks with a pipeline of NeMo Curator.

Curator never reads the tasks themselves, because its readers change their types: it gets a view of them with
each task as one text. Its stages that find duplicates need a GPU, so the duplicates are found here, and one
of its stages removes them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

import msgspec

from nemo_gym.datasets.curation import ngrams
from nemo_gym.datasets.curation.curate import (
    CurateSettings,
    Duplicates,
    Line,
    check_rows,
    find_leak,
    in_batches,
    read_lines,
)
from nemo_gym.datasets.curation.ngrams import Benchmark, Tokens
from nemo_gym.datasets.curation.output import AgainstReport, Removal, Report, open_output
from nemo_gym.runs.loop import run_async
from nemo_gym.siblings.curator import pipeline
from nemo_gym.support.processes import run_program
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.task import named_agent

REQUIREMENT: Final = "nemo-curator==1.4.0"
MAX_SYMBOLS: Final = 0.75
"""The largest share of characters that are neither letters nor digits, for Curator's filter."""


def curate_with_curator(
    source: Path,
    target: Path,
    settings: CurateSettings,
    against: Sequence[tuple[Benchmark, AgainstReport]] = (),
    removed: Path | None = None,
    *,
    python: str,
) -> Report:
    """Write the rows that stay, unchanged and in their order.

    Args:
        removed: the file for the rows that don't stay, with their reasons.
        python: of the environment with NeMo Curator.

    Raises:
        UsageError: the file is missing or empty, or that environment has no NeMo Curator.
        DataError: a line is not a JSON object, or lacks a column.
        GymError: Curator fails, or loses or changes a row.
    """
    program = shutil.which(python) if python else None
    if program is None:
        problem = f"there is no program {python}" if python else "needed: --curator-python PATH"
        raise UsageError(f"{problem}: {_INSTALL}")
    with TemporaryDirectory(prefix="gym-curator-") as name, ExitStack() as files:
        folder = Path(name)
        output = files.enter_context(open_output(source, target, removed, msgspec.to_builtins(settings)))
        report = output.report
        report.engine = REQUIREMENT
        report.against = [one for _, one in against]
        benchmarks = [benchmark for benchmark, _ in against]
        removals: dict[int, Removal] = {}
        kept: dict[str, bytes] = {}
        if _write_view(source, folder, settings, benchmarks):
            _run("score", program, folder)
            removals = _failures(folder)
            with Duplicates(source, settings) as duplicates:
                removals |= _find_duplicates(source, settings, duplicates, removals)
                report.same_text, report.near_text = duplicates.same_text, duplicates.near_text
            _write_ids(folder / "duplicates.jsonl", removals)
            _run("remove", program, folder)
            kept = _read_kept(folder)
        for line in read_lines(source, settings.fields):
            removal = removals.get(line.number)
            if removal is None:
                _check_kept(line, kept)
                output.keep(line.line)
                report.without_text += line.text.text is None
                continue
            if removal.reason == "leak":
                removal = find_leak(line.text, benchmarks) or removal
            output.remove(line.line, line.number, line.name, line.text.whole, removal)
        if kept:
            raise GymError(
                f"NeMo Curator kept {len(kept)} rows that its own filters refuse: {next(iter(kept))}"
            )
        check_rows(source, report)
    return report


def view_row(line: Line) -> dict[str, str]:
    """The row of the view: all columns are texts that no reader takes for another type."""
    return {
        "id": _id(line.number),
        "text": line.text.text or "",
        "system": line.text.system,
        "category": named_agent(line.row),
        "gym_row": line.line.decode(),
    }


def _id(number: int) -> str:
    return f"row-{number:012d}"


def _number(id: str) -> int:
    return int(id.removeprefix("row-"))


def _write_view(source: Path, folder: Path, settings: CurateSettings, benchmarks: Sequence[Benchmark]) -> int:
    """Write what `pipeline` reads; the number of rows."""
    view = folder / "view"
    view.mkdir()
    lines = (line for line in read_lines(source, settings.fields) if line.text.text is not None)
    count = 0
    for part in iter(lambda: list(islice(lines, _PART)), []):
        with (view / f"{count:012d}.jsonl").open("wb") as file:
            file.writelines(encode(view_row(line)) + b"\n" for line in part)
        count += len(part)
    names = [f"benchmark-{place}.npz" for place in range(len(benchmarks))]
    for name, benchmark in zip(names, benchmarks, strict=True):
        benchmark.save(folder / name)
    plan: dict[str, Any] = {"benchmarks": names, "max_symbols": MAX_SYMBOLS}
    plan["limits"] = msgspec.to_builtins(settings.limits)
    (folder / "plan.json").write_bytes(encode(plan))
    shutil.copy(ngrams.__file__, folder / "gym_ngrams.py")
    shutil.copy(pipeline.__file__, folder / "gym_pipeline.py")
    return count


def _run(step: str, program: str, folder: Path) -> None:
    """Run a half of the pipeline.

    Raises:
        UsageError: NeMo Curator is not installed there.
        GymError: it fails.
    """
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": str(folder)}
    ended = run_async(
        run_program(
            [str(Path(program).absolute()), str(folder / "gym_pipeline.py"), step, str(folder)],
            folder=folder,
            env=environment,
            seconds=_LONGEST_S,
        )
    )
    last = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "")
    if ended.exit_code == pipeline.MISSING:
        raise UsageError(f"{program} has no NeMo Curator ({last}): {_INSTALL}")
    if ended.exit_code != 0:
        how = "ran out of time" if ended.exit_code is None else f"failed with exit code {ended.exit_code}"
        raise GymError(f"NeMo Curator {how} after {ended.seconds:.0f} s: {last}")


def _failures(folder: Path) -> dict[int, Removal]:
    """The rows that a filter of Curator refuses, by line."""
    failures: dict[int, Removal] = {}
    for row in _read(folder / "failed.jsonl"):
        name = row["filter"]
        detail = f"Curator's {name}: {row['score']:g}"
        failures[_number(row["id"])] = Removal(_REASONS.get(name, "leak"), detail)
    return failures


def _find_duplicates(
    source: Path, settings: CurateSettings, duplicates: Duplicates, failures: Mapping[int, Removal]
) -> dict[int, Removal]:
    found: dict[int, Removal] = {}
    for lines in in_batches(read_lines(source, settings.fields)):
        fit = [
            (line, Tokens.of(line.text.text))
            for line in lines
            if line.number not in failures and line.text.text is not None
        ]
        found |= duplicates.judge(fit)
    return found


def _write_ids(path: Path, removals: Mapping[int, Removal]) -> None:
    with path.open("wb") as file:
        file.writelines(
            encode({"id": _id(number)}) + b"\n"
            for number, removal in sorted(removals.items())
            if removal.reason in ("duplicate", "near_duplicate")
        )


def _read_kept(folder: Path) -> dict[str, bytes]:
    """A digest of each row that Curator kept, by id."""
    paths = sorted((folder / "kept").iterdir())
    return {row["id"]: _digest(row["gym_row"]) for path in paths for row in _read(path)}


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        yield from _decoded(file)


def _decoded(file: BinaryIO) -> Iterator[dict[str, Any]]:
    for line in file:
        if not line.isspace():
            yield msgspec.json.decode(line)


def _check_kept(line: Line, kept: dict[str, bytes]) -> None:
    """Take a row out of those that Curator kept.

    Raises:
        GymError: it is not there, or not the same.
    """
    if line.text.text is None:
        return
    expected = view_row(line)
    digest = kept.pop(expected["id"], None)
    if digest != _digest(expected["gym_row"]):
        what = "lost" if digest is None else "changed"
        raise GymError(f"NeMo Curator {what} the row of line {line.number}")


_INSTALL: Final = f"in a virtual environment of Python 3.12, pip install '{REQUIREMENT}', and name its Python"
_PART: Final = 10_000
_LONGEST_S: Final = 86400.0
_ENVIRONMENT: Final = {"NEMO_TELEMETRY_ENABLED": "false", "RAY_USAGE_STATS_ENABLED": "0"}
_REASONS: Final = {"word_count": "too_short", "alpha_numeric": "unreadable", "repetition": "repetitive"}
