"""The real NeMo Curator: planted duplicates, junk and leaks go, and what stays is the same byte by byte."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nemo_gym.datasets.curation.against import read_against
from nemo_gym.datasets.curation.curate import CurateSettings, curate
from nemo_gym.datasets.curation.quality import Limits
from nemo_gym.siblings.curator.curate import curate_with_curator
from tests.support.planted_tasks import REASONS, Planted


def test_both_paths_leave_out_what_is_planted(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    against = [read_against(str(planted.benchmark), [])]
    removed = tmp_path / "removed.jsonl"

    report = curate_with_curator(
        planted.tasks, tmp_path / "out.jsonl", CurateSettings(), against, removed, python=sys.executable
    )

    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(planted.kept)
    records = [json.loads(line) for line in removed.read_text().splitlines()]
    assert sorted(record["reason"] for record in records) == sorted(REASONS.values())
    assert len(records) + report.kept == report.rows == len(planted.lines)
    curate(planted.tasks, tmp_path / "local.jsonl", CurateSettings(), against)
    assert (tmp_path / "local.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_a_file_in_which_every_row_goes(tmp_path: Path) -> None:
    source, target = tmp_path / "tasks.jsonl", tmp_path / "out.jsonl"
    rows = [{"responses_create_params": {"input": text}} for text in ("7", "true", "2020-01-01", "no")]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    report = curate_with_curator(
        source, target, CurateSettings(limits=Limits(min_words=10)), python=sys.executable
    )

    assert target.read_bytes() == b""
    assert report.removed == {"too_short": 4}
