"""Where a run's files are."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nemo_gym.wire.errors import GymError, UsageError


class WriteFailed(GymError):
    """A file can't be written: the disk is full or failing, or this process may not write there."""


@dataclass(frozen=True, slots=True)
class RunPaths:
    """All files of one run, named after its rollouts file."""

    rollouts: Path
    inputs: Path
    failures: Path
    metrics: Path
    manifest: Path

    @classmethod
    def of(cls, output: Path) -> RunPaths:
        """The files that belong to `output`, which must end in `.jsonl`.

        Raises:
            UsageError: it does not.
        """
        if output.suffix != ".jsonl":
            raise UsageError(f"output {output}: expected a name ending in .jsonl")

        def beside(suffix: str) -> Path:
            return output.with_name(output.stem + suffix)

        return cls(
            rollouts=output,
            inputs=beside("_materialized_inputs.jsonl"),
            failures=beside("_failures.jsonl"),
            metrics=beside("_aggregate_metrics.json"),
            manifest=beside("_manifest.json"),
        )

    @property
    def turns(self) -> Path:
        """The folder with the turns of unfinished rollouts, where a run keeps them."""
        return self.rollouts.with_name(f"{self.rollouts.stem}_turns")

    def existing(self) -> list[Path]:
        """The files that exist."""
        every = (self.rollouts, self.inputs, self.failures, self.metrics, self.manifest)
        return [path for path in every if path.exists()]


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO, None, None]:
    """A file to write. It is complete and on the disk when the block ends well; otherwise nothing is left.

    Raises:
        WriteFailed: it can't be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        with partial.open("xb", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        raise WriteFailed(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
