"""Adds the rollouts of one run to those of another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from nemo_gym.runs.journal import AppendFile
from nemo_gym.runs.ledger import Ledger
from nemo_gym.runs.manifest import load_manifest
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.task_sources import digest_of
from nemo_gym.wire.row_identity import Keys, keyed_lines


def append_run(source: RunPaths, target: RunPaths) -> None:
    """Move the rows of a run into the files of another one; the rows in those files stay.

    If the process is killed, the same call finishes the work.

    Raises:
        UsageError: another run is writing to the files, or one of them can't be read.
        JournalError: the files can't be written.
    """
    manifest = load_manifest(target.manifest if target.manifest.exists() else source.manifest)
    _append(source.rollouts, target.rollouts, once=True)
    _append(source.failures, target.failures, once=False)
    manifest.requested = _append(source.inputs, target.inputs, once=True)
    ledger = Ledger.read(target.rollouts, target.failures)
    scored, failed = ledger.scored_count, len(ledger.failed)
    pending = manifest.requested - scored - failed
    manifest.counts = {"scored": scored, "failed": failed, "pending": pending}
    manifest.plan_sha256 = digest_of(target.inputs)
    manifest.save(target)
    for path in (source.rollouts, *source.existing()):
        path.unlink(missing_ok=True)


def _append(source: Path, target: Path, *, once: bool) -> int:
    """Append lines in pieces; the number of rows in the file then.

    Args:
        once: leave out rows whose identity is in the file.
    """
    if not source.exists():
        return 0
    _end_last_row(target)
    with closing(AppendFile(target)) as file:
        present = Keys()
        for row in keyed_lines(target):
            present.add(row.stamp)
        piece = bytearray()
        for line in _new_lines(source, present, once=once):
            piece += line
            if len(piece) >= _PIECE:
                file.write(bytes(piece))
                piece.clear()
        file.write(bytes(piece))
        return len(present)


def _end_last_row(path: Path) -> None:
    """Add the newline that other programs leave out after the last row: without it the row counts as torn."""
    last = b"\n"
    for row in keyed_lines(path) if path.exists() else ():
        last = row.line
    if not last.endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def _new_lines(source: Path, present: Keys, *, once: bool) -> Iterator[bytes]:
    for row in keyed_lines(source):
        if present.add(row.stamp) or not once:
            yield row.line.rstrip() + b"\n"


_PIECE: Final = 1 << 24
"""Bytes."""
