"""The job of a run: where its rollouts go."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.assembly.job import output_path
from nemo_gym.config.run_settings import RunSettings


def test_runs_that_start_in_the_same_second_have_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nemo_gym.assembly.job.strftime", lambda _: "20261128-120400")
    Path("results").mkdir()
    names: list[str] = []
    for ending in (".jsonl", "_manifest.json", ".jsonl"):
        path = output_path(RunSettings(), "envs/mine.py:Mine")
        names.append(path.name)
        path.with_name(f"{path.stem}{ending}").touch()

    assert names == [f"mine_20261128-120400{number}.jsonl" for number in ("", "-2", "-3")]
