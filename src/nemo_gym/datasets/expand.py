"""Writes the rows of a rollouts file with the token ids of every prompt in full."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.token_packing import expand_row


def expand(source: Path, target: Path) -> int:
    """Write all rows of a file, or no file; the number of rows.

    Raises:
        DataError: a row's tokens continue tokens that are not in it; the message names the line.
        UsageError: the file is missing, or it is the target.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target}: the output must be another file than the input")
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        for line, row in read_rows(source):
            try:
                file.write(encode(expand_row(row)) + b"\n")
            except ValueError as error:
                raise DataError(f"{source}:{line}: {error}") from None
            count += 1
    return count
