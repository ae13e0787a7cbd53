"""Where a run's files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.runs.paths import RunPaths
from nemo_gym.wire.errors import UsageError


def test_all_files_of_a_run_are_named_after_its_rollouts_and_lie_beside_them() -> None:
    paths = RunPaths.of(Path("runs/a.b.jsonl"))

    assert paths == RunPaths(
        rollouts=Path("runs/a.b.jsonl"),
        inputs=Path("runs/a.b_materialized_inputs.jsonl"),
        failures=Path("runs/a.b_failures.jsonl"),
        metrics=Path("runs/a.b_aggregate_metrics.json"),
        manifest=Path("runs/a.b_manifest.json"),
    )


@pytest.mark.parametrize("name", ["out", "out.json", "out.jsonl.gz", "out.JSONL", "jsonl", ".jsonl"])
def test_any_other_ending_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected a name ending in \.jsonl"):
        RunPaths.of(Path(name))


def test_existing_are_those_that_are_there(tmp_path: Path) -> None:
    paths = RunPaths.of(tmp_path / "out.jsonl")
    assert paths.existing() == []
    paths.failures.touch()
    paths.manifest.touch()

    assert paths.existing() == [paths.failures, paths.manifest]
