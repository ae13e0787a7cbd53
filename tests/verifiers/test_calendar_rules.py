"""Times, constraints and schedules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemo_gym.verifiers.calendar import check_schedule, first_list, read_events, read_time

WINDOW = {"min_time": "8am", "max_time": "6pm"}


def verdict(start: object, constraint: str | None, duration: int = 60) -> str:
    events = read_events({"1": {"event_id": 1, "duration": duration, "constraint": constraint, **WINDOW}})
    return check_schedule(
        json.dumps([{"event_id": 1, "start_time": start, "duration": duration}]), events
    ).reason


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("10am", 600),
        ("10:30 AM", 630),
        ("14:00", 840),
        ("12am", 0),
        ("12pm", 720),
        ("24:00", 1440),
        ("1 p.m.", 780),
    ],
)
def test_a_time_is_read(text: str, minutes: int) -> None:
    assert read_time(text) == minutes


@pytest.mark.parametrize(
    "text", ["", "10", "25:00", "13pm", "0am", "10:60", "-1:00", "٩am", "10am ish", 10, None, []]
)
def test_another_text_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="no time"):
        read_time(text)


@pytest.mark.parametrize(
    ("start", "constraint", "reason"),
    [
        ("9am", "before 10am", "right"),
        ("9:15am", "before 10am", "outside_limits"),
        ("10am", "after 10am", "right"),
        ("9:59am", "after 10am", "outside_limits"),
        ("2pm", "at 14:00", "right"),
        ("2:01pm", "at 14:00", "outside_limits"),
        ("9am", "between 9am and 10am", "right"),
        ("9:30am", "between 9am and 10am", "outside_limits"),
        ("5pm", None, "right"),
        ("5:30pm", None, "outside_limits"),
        ("7am", "", "outside_limits"),
        (None, None, "malformed"),
    ],
)
def test_a_constraint_limits_the_start_and_the_end(
    start: object, constraint: str | None, reason: str
) -> None:
    assert verdict(start, constraint) == reason


@pytest.mark.parametrize(
    "fields",
    [
        {},
        [],
        {"event_id": "1"},
        {"event_id": "1", "duration": True},
        {"event_id": "1", "duration": 5000},
        {"event_id": "1", "duration": 5, "constraint": "soon"},
        {"event_id": "1", "duration": 5, "constraint": "before"},
        {"event_id": "1", "duration": 5, "max_time": "late"},
    ],
)
def test_a_wrong_event_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"event|duration|constraint|time"):
        read_events({"1": fields})


def test_the_first_list_of_objects_counts() -> None:
    assert first_list('[1] [] ["a"] see [{"a": "]["}] [{"b": 1}]') == [{"a": "]["}]
    assert first_list("nothing [ here") is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '["' * 50_000, '[{"a":' * 20_000, "[{}]\0" * 9, "\ud800[{}", '"' * 99_999]
)
def test_a_hostile_text_never_holds(text: str) -> None:
    events = read_events({"1": {"event_id": "1", "duration": 5}})

    assert not check_schedule(text, events).holds
