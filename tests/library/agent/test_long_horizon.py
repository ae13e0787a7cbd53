"""long_horizon: five days of requests, each of which counts for itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemo_gym.library.agent.long_horizon.environment import MAX_CALLS, LongHorizon
from nemo_gym.library.agent.long_horizon.world import MAX_RECORDS
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.task import Row, task_to_row
from tests.library.episodes import Answer, check_baselines, check_lines, episode, total


def row(level: int = 0) -> Row:
    return task_to_row(next(iter(LongHorizon({"level": level}).tasks("test", 5, 1))))


def day_calls(row: Row, day: int) -> list[Item]:
    calls = row["days"][day]["calls"]
    return [
        function_call(call["name"], call["arguments"], call_id=f"c{day}_{number}")
        for number, call in enumerate(calls)
    ]


def test_golden_cases_and_hacks_earn_what_they_say() -> None:
    check_lines(LongHorizon())


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_an_empty_policy_nothing(level: int) -> None:
    check_baselines(LongHorizon({"level": level}), 4)


@pytest.mark.parametrize("level", range(5))
def test_a_week_needs_more_than_60_calls(level: int) -> None:
    for task in LongHorizon({"level": level}).tasks("test", 0, 5):
        assert len(task.days) == 5
        assert sum(len(day.calls) for day in task.days) >= 62
        assert len({call.arguments for day in task.days for call in day.calls}) >= 62


@pytest.mark.parametrize("level", [0, 4])
def test_every_level_has_a_thousand_distinct_weeks(level: int) -> None:
    environment = LongHorizon({"level": level})
    keys = {task.days[0].request + task.days[4].request for task in environment.tasks("train", 0, 1000)}
    assert len(keys) == 1000


def test_the_calls_of_a_day_may_come_in_one_answer() -> None:
    week = row()
    answers: list[Answer] = []
    for day in range(5):
        answers += [day_calls(week, day), "Done."]
    steps = episode(LongHorizon(), week, answers)
    assert total(steps) == pytest.approx(1.0)
    assert len(steps) == 10
    assert [step.observation for step in steps[1::2]] == [*(d["request"] for d in week["days"][1:]), None]
    assert sum(steps[-1].info["components"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize("left_out", range(5))
def test_each_day_is_a_fifth_of_the_reward(left_out: int) -> None:
    week = row()
    answers: list[Answer] = []
    for day in range(5):
        answers += [*([] if day == left_out else [day_calls(week, day)]), "Done."]
    steps = episode(LongHorizon(), week, answers)
    assert total(steps) == pytest.approx(0.8)
    assert list(steps[-1].info["reasons"].values()).count("wrong_state") == 1


def test_later_days_name_people_by_what_earlier_days_say() -> None:
    week = row(2)
    assert "is the lead of" in week["days"][0]["request"]
    assert "the lead of" not in week["days"][0]["request"].split("Remember")[0]
    assert any("the lead of" in day["request"].split("Remember")[0] for day in week["days"][1:])


def test_too_many_calls_and_records_are_refused() -> None:
    mail = json.dumps({"to": "p001", "subject": "a", "text": "b"})
    calls: list[Item] = [function_call("send_email", mail, call_id=f"c{n}") for n in range(MAX_CALLS + 3)]
    steps = episode(LongHorizon(), row(), [calls] * 7)
    outputs = [output["output"] for output in steps[0].info["tool_outputs"]]
    assert sum(text.startswith("Error: only the first") for text in outputs) == 3
    sent = sum("The id is" in output["output"] for step in steps for output in step.info["tool_outputs"])
    assert sent == MAX_RECORDS


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [{"name": "close_ticket", "arguments": '{"ticket": "t999"}'}],
        [{"name": "no_tool", "arguments": "{}"}],
        [{"name": "search", "arguments": '{"table": "people", "text": "a"}'}],
    ],
)
def test_a_row_with_a_day_that_does_not_work_is_refused(calls: list[dict[str, Any]]) -> None:
    week = row()
    days = [*week["days"][:1], {"request": "Nothing.", "calls": calls, "answer": None}]
    with pytest.raises(TaskUnfit, match=r"days\[1\]"):
        episode(LongHorizon(), {**week, "days": days}, ["Done."])
