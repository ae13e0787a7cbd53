"""The files that a curation writes: the rows that stay, the rows that don't, and the report."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode

MOST_EXAMPLES: Final = 5
_EXAMPLE_CHARACTERS: Final = 160


class Removal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a row is left out."""

    reason: str
    detail: str = ""
    of: int | None = None
    """The line of the row that stays in place of a duplicate."""


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row that is left out, for the report."""

    line: int
    id: str | int
    detail: str
    text: str
    """The beginning of it."""
    of: int | None = None


class AgainstReport(msgspec.Struct, frozen=True):
    """A benchmark that the rows were compared with."""

    name: str
    rows: int
    ngrams: int


class Report(msgspec.Struct, kw_only=True):
    """What a curation did."""

    rows: int = 0
    kept: int = 0
    removed: dict[str, int] = {}
    """The number of rows by reason."""
    examples: dict[str, list[Example]] = {}
    same_text: int = 0
    """Rows that stay although they have the text of an earlier row, because their other columns differ."""
    near_text: int = 0
    """About how many rows stay although they are nearly the same as an earlier row, for the same reason."""
    without_text: int = 0
    """Rows without any text, which stay because there is nothing to compare."""
    against: list[AgainstReport] = []
    engine: str = "local"
    settings: dict[str, Any] = {}


class Output:
    """The open files of a curation, and its report."""

    def __init__(self, kept: BinaryIO, removed: BinaryIO | None, report: Report) -> None:
        self._kept = kept
        self._removed = removed
        self.report = report

    def keep(self, line: bytes) -> None:
        """Write a row that stays, byte by byte as it is."""
        self._kept.write(line)
        self.report.rows += 1
        self.report.kept += 1

    def remove(self, line: bytes, number: int, name: str | int, text: str, removal: Removal) -> None:
        """Leave a row out, and note why."""
        report = self.report
        report.rows += 1
        report.removed[removal.reason] = report.removed.get(removal.reason, 0) + 1
        examples = report.examples.setdefault(removal.reason, [])
        if len(examples) < MOST_EXAMPLES:
            start = " ".join(text.split())[:_EXAMPLE_CHARACTERS]
            examples.append(Example(number, name, removal.detail, start, removal.of))
        if self._removed is not None:
            row = msgspec.Raw(line.strip())
            record: Mapping[str, Any] = {
                "line": number, "id": name, **msgspec.to_builtins(removal), "row": row,
            }  # fmt: skip
            self._removed.write(encode(record) + b"\n")


@contextmanager
def open_output(
    source: Path, target: Path, removed: Path | None, settings: Mapping[str, Any]
) -> Generator[Output, None, None]:
    """The output of a curation. All files are complete when the block ends well, and absent otherwise.

    Raises:
        UsageError: a file would replace the input or another one.
    """
    paths = [path.resolve() for path in (source, target, removed) if path is not None]
    if len({*paths}) < len(paths):
        raise UsageError(f"{source}: the input, the output and the removed rows need three different files")
    for path in paths[1:]:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        left_out = files.enter_context(whole_file(removed)) if removed else None
        kept = files.enter_context(whole_file(target))
        yield Output(kept, left_out, Report(settings=dict(settings), removed={}, examples={}, against=[]))
