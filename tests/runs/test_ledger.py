"""What an earlier run already did, read from its files without decoding its rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.runs.ledger import MAX_ATTEMPTS_VARIABLE, Ledger, max_attempts, with_attempt
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import journal_lines


def scored(task: int, rollout: int) -> dict[str, Any]:
    return {"_ng_task_index": task, "_ng_rollout_index": rollout, "reward": 1.0, "response": {"output": []}}


def failed(task: int, rollout: int, why: str = "model_timeout", *, terminal: bool = False) -> dict[str, Any]:
    row = {"_ng_task_index": task, "_ng_rollout_index": rollout, "_ng_failure_class": why}
    return row | ({"_ng_failure_terminal": True} if terminal else {})


def ledger_of(folder: Path, rollouts: list[dict[str, Any]], failures: list[dict[str, Any]]) -> Ledger:
    for name, rows in (("out.jsonl", rollouts), ("out_failures.jsonl", failures)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Ledger.read(folder / "out.jsonl", folder / "out_failures.jsonl")


def test_without_files_everything_is_wanted(tmp_path: Path) -> None:
    ledger = Ledger.read(tmp_path / "out.jsonl", tmp_path / "out_failures.jsonl")

    assert ledger.wants(0, 0)
    assert ledger.scored_count == 0
    assert ledger.failure_classes() == Counter()


def test_what_is_scored_is_not_wanted_again(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, [scored(0, 0), scored(0, 63), scored(5, 200)], [])

    assert not any(ledger.wants(*each) for each in [(0, 0), (0, 63), (5, 200)])
    assert all(ledger.wants(*each) for each in [(0, 1), (0, 64), (5, 199), (1, 0)])
    assert ledger.scored_count == 3


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, [scored(0, 0), scored(0, 0) | {"reward": 0.0}], [])

    assert (ledger.scored_count, ledger.mean.count, ledger.mean.mean) == (1, 1, 1.0)
    assert ledger.twin.endswith("out.jsonl:2: task 0, repeat 0 is here a second time")


def test_failures_are_wanted_until_their_attempts_are_spent(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, [], [failed(0, 0), *[failed(1, 0)] * 2, *[failed(2, 0)] * 3])

    assert [ledger.wants(task, 0) for task in range(3)] == [True, True, False]
    assert [ledger.attempts(task, 0) for task in range(4)] == [1, 2, 3, 0]


def test_a_terminal_failure_is_not_wanted_again(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, [], [failed(0, 0, "model_rejected", terminal=True), failed(1, 0)])

    assert [ledger.wants(task, 0) for task in range(2)] == [False, True]


def test_an_empty_account_is_tried_again_though_an_older_version_called_it_terminal(tmp_path: Path) -> None:
    broke = failed(0, 0, "model_rejected", terminal=True) | {"_ng_failure_http_status": 402}
    refused = failed(1, 0, "model_rejected", terminal=True) | {"_ng_failure_http_status": 400}
    ledger = ledger_of(tmp_path, [], [broke, refused])

    assert [ledger.wants(task, 0) for task in range(2)] == [True, False]


def test_a_failure_that_was_scored_later_is_forgotten(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, [scored(0, 0)], [failed(0, 0), failed(0, 1)])

    assert ledger.failure_classes() == {"model_timeout": 1}
    assert not ledger.wants(0, 0)
    assert ledger.wants(0, 1)


def test_a_failure_is_counted_under_its_last_class(tmp_path: Path) -> None:
    failures = [failed(0, 0, "rate_limited"), failed(0, 0, "model_error"), failed(1, 0, "rate_limited")]

    assert ledger_of(tmp_path, [], failures).failure_classes() == {"model_error": 1, "rate_limited": 1}


def test_a_torn_last_line_is_left_out_and_anything_else_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    line = json.dumps(scored(0, 0)).encode() + b"\n"
    path.write_bytes(line + line[:20])
    assert [row.stamp.task_index for row in journal_lines(path)] == [0]

    for broken in (b'{"torn": \n', b"[]\n", b'{"_ng_task_index": 1}\n', b'{"_ng_task_index": "a"}\n', b"\n"):
        path.write_bytes(line + broken + line)
        with pytest.raises(DataError, match=r"out\.jsonl:2: not a row of a run: ") as caught:
            list(journal_lines(path))
        assert "$" not in str(caught.value)


@pytest.mark.parametrize(
    "line", [b'{"_ng_failure_class": "\xff"}\n', b'{"_ng_task_index": ' + b"[" * 100_000 + b"\n"]
)
def test_a_hostile_line_is_named_too(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(line)

    with pytest.raises(DataError, match=r"out\.jsonl:1: not a row of a run"):
        list(journal_lines(path))


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=1), st.integers(1, 9))
def test_a_stamped_line_is_the_same_row_with_its_attempt(row: dict[str, Any], attempt: int) -> None:
    line = json.dumps(row).encode() + b"\n"

    assert with_attempt(line, 0) == line
    assert json.loads(with_attempt(line, attempt)) == {**row, "_ng_attempt_index": attempt}
    assert with_attempt(line, attempt).endswith(b"}\n")


def test_the_number_of_attempts_is_set_by_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(MAX_ATTEMPTS_VARIABLE, raising=False)
    assert max_attempts() == 3
    monkeypatch.setenv(MAX_ATTEMPTS_VARIABLE, "1")

    assert not ledger_of(tmp_path, [], [failed(0, 0)]).wants(0, 0)


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", ""])
def test_a_wrong_number_of_attempts_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv(MAX_ATTEMPTS_VARIABLE, wrong)

    with pytest.raises(UsageError, match=f"{MAX_ATTEMPTS_VARIABLE}='{wrong}': expected a whole number"):
        max_attempts()
