"""Paths of the files of a run."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.runs.paths import RunPaths


def failures_path_for(output_fpath: Path | str) -> Path:
    """The failures file that belongs to a rollouts file."""
    return RunPaths.of(Path(output_fpath)).failures
