"""Tasks: the typed view of a row."""

import pytest
from hypothesis import given
from wire_strategies import json_objects

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.task import Task, task_from_row, task_to_row


class Weather(Task):
    city: str
    tolerance: float = 0.5


def test_a_row_becomes_a_task_and_a_task_a_row():
    row = {"responses_create_params": {"input": "q"}, "task_id": 3, "city": "Rome"}
    task = task_from_row(row, Weather)
    assert (task.city, task.tolerance, task.task_id) == ("Rome", 0.5, 3)
    assert task_to_row(task) == row


def test_columns_the_task_does_not_declare_are_ignored_by_the_view_and_kept_in_the_row():
    row = {"city": "Rome", "note": "x"}
    assert task_from_row(row, Weather).city == "Rome"
    assert task_to_row(row) is row


@given(json_objects)
def test_a_row_survives_a_round_trip_value_for_value(row):
    assert task_to_row(decode(encode(row))) == row


def test_metadata_of_null_are_none_and_the_row_keeps_them():
    row = {"verifier_metadata": None, "city": "Rome"}
    assert task_from_row(row, Weather).verifier_metadata == {}
    assert row == {"verifier_metadata": None, "city": "Rome"}


def test_a_task_may_tell_metadata_of_null_from_none():
    class Nullable(Task):
        verifier_metadata: dict[str, str] | None

    assert task_from_row({"verifier_metadata": None}, Nullable).verifier_metadata is None
    with pytest.raises(UsageError, match="verifier_metadata"):
        task_from_row({}, Nullable)


def test_tasks_do_not_share_their_defaults():
    task_from_row({"city": "a"}, Weather).verifier_metadata["x"] = 1
    assert task_from_row({"city": "b"}, Weather).verifier_metadata == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "missing column `city` (a task here needs: city)"),
        ({"city": 3}, "Expected `str`, got `int` - at `city` (a task here needs: city)"),
        (
            {"city": "a", "tolerance": "b"},
            "Expected `float`, got `str` - at `tolerance` (a task here needs: city)",
        ),
    ],
)
def test_an_error_names_the_column(row, message):
    with pytest.raises(UsageError) as error:
        task_from_row(row, Weather)
    assert str(error.value) == message
