"""Capture files of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.capture.capture_files import CaptureFiles
from nemo_gym.compat.model_call_records import CaptureStore
from nemo_gym.wire.errors import UsageError


def test_lines_come_back_in_order_and_a_line_that_is_no_call_is_known(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    assert files.lines("0-0") == ([], True)
    files.append("0-0", b'{"n": 1}')
    files.append("0-0", b"[]")
    files.append("0-0", b'{"n": 2}')
    assert files.lines("0-0") == ([{"n": 1}, {"n": 2}], False)
    assert not files.is_incomplete("0-0")


def test_a_rollout_can_be_marked_and_forgotten(tmp_path: Path) -> None:
    files = CaptureFiles(tmp_path)
    files.append("0-0", b"{}")
    files.mark_incomplete("0-0")
    assert files.is_incomplete("0-0")
    files.clear("0-0")
    files.clear("0-0")
    assert list(tmp_path.iterdir()) == []


def test_the_store_of_existing_code_has_the_same_files(tmp_path: Path) -> None:
    store = CaptureStore(str(tmp_path / "calls"))
    store.record("0-0", {"model_call_id": "a"})
    assert CaptureFiles(store.root).lines("0-0") == ([{"model_call_id": "a"}], True)
    assert store.path_for("0-0") == store.root / "0-0.capture.jsonl"


def test_an_id_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    for method in (CaptureFiles(tmp_path).lines, CaptureFiles(tmp_path).clear):
        with pytest.raises(UsageError, match="rollout id"):
            method("../outside")
