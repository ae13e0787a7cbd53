"""Writes a file of rows with their prompt filled in."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.runs.bad_rows import BadRows
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import check_typed_params
from nemo_gym.wire.prompt import Prompt


def render(source: Path, prompt: Prompt, target: Path) -> int:
    """Write all rows of a file with the prompt as their input, or no file; the number of rows.

    Raises:
        DataError: the prompt doesn't fit some rows; the message names their lines.
        UsageError: the file is missing or empty.
    """
    bad_rows = BadRows("line")
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        for line, row in read_rows(source):
            count += 1
            try:
                row = prompt.apply(row)
                check_typed_params(row.get(keys.PARAMS))
            except UsageError as error:
                bad_rows.add(line, str(error))
            else:
                file.write(encode(row) + b"\n")
        bad_rows.refuse(f"{source}: prompt {prompt.name} doesn't fit ")
        if not count:
            raise UsageError(f"{source}: there is nothing in it")
    return count
