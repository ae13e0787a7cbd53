"""The view of tasks that NeMo Curator gets, and an environment without it. The real one is in `curator`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pyarrow import json as arrow

from nemo_gym.datasets.curation.curate import CurateSettings, read_lines
from nemo_gym.siblings.curator.curate import curate_with_curator, view_row
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import encode
from tests.support.planted_tasks import Planted


def test_the_view_keeps_every_task_through_a_reader_that_guesses_types(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    lines = list(read_lines(planted.tasks))
    (tmp_path / "view.jsonl").write_bytes(b"".join(encode(view_row(line)) + b"\n" for line in lines))

    rows = arrow.read_json(tmp_path / "view.jsonl").to_pylist()

    assert [row["gym_row"].encode() for row in rows] == [line.line for line in lines]
    assert [json.loads(row["gym_row"]) for row in rows] == [line.row for line in lines]
    assert {type(value) for row in rows for value in row.values()} == {str}
    assert {row["category"] for row in rows} == {"quiz_agent", ""}


def test_an_environment_without_curator_is_one_line(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    target = tmp_path / "out.jsonl"
    with pytest.raises(
        UsageError, match=r"has no NeMo Curator \(No module named 'nemo_curator'\): in a virtual"
    ):
        curate_with_curator(planted.tasks, target, CurateSettings(), python=sys.executable)
    with pytest.raises(UsageError, match="there is no program no-such-python: in a virtual environment"):
        curate_with_curator(planted.tasks, target, CurateSettings(), python="no-such-python")
    assert not target.exists()
