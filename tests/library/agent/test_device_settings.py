"""device_settings: settings block each other, and the end state decides."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from nemo_gym import ToolError
from nemo_gym.library.agent.device_settings.environment import DeviceSettings
from nemo_gym.library.agent.device_settings.goals import HARD
from nemo_gym.library.agent.device_settings.phone import MAX_ENTRIES, Phone, Switch
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.task import Row, task_to_row
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits


def row(level: int) -> Row:
    return task_to_row(next(iter(DeviceSettings({"level": level}).tasks("test", 0, 1))))


def calls_of(row: Row) -> list[Item]:
    return [
        function_call(call["name"], call["arguments"], call_id=f"c{number}")
        for number, call in enumerate(row["calls"])
    ]


def test_golden_cases_earn_what_they_say() -> None:
    check_golden(DeviceSettings())


def test_hacks_do_not_pay_and_honest_calls_do() -> None:
    check_hacks(DeviceSettings())


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_an_empty_policy_nothing(level: int) -> None:
    check_oracle_and_null(DeviceSettings({"level": level}), 40)


@pytest.mark.parametrize("level", range(5))
def test_every_level_has_a_thousand_distinct_tasks_in_disjoint_splits(level: int) -> None:
    check_splits(DeviceSettings({"level": level}))


@pytest.mark.parametrize("level", [2, 3, 4])
def test_every_call_of_the_right_way_is_needed(level: int) -> None:
    environment = DeviceSettings({"level": level})
    for task in environment.tasks("test", 1, 15):
        task_row = task_to_row(task)
        calls = calls_of(task_row)
        for number in range(len(calls)):
            assert play(environment, task_row, [*calls[:number], *calls[number + 1 :]]).value == 0.0


def test_wishes_come_in_any_order_of_kinds() -> None:
    wishes = " ".join(
        cast("str", task.responses_create_params["input"][-1]["content"]).split("The user: ")[1]
        for task in DeviceSettings({"level": 3}).tasks("train", 0, 60)
    )
    assert len(HARD) == 6
    for words in ("the message", "my location", "Connect the", "a hotspot", "percent", "alarm"):
        assert words in wishes


@pytest.mark.parametrize(
    ("phone", "name", "blocker"),
    [
        ({"airplane_mode": True}, "cellular", "airplane mode"),
        ({"airplane_mode": True}, "wifi", "airplane mode"),
        ({"airplane_mode": True}, "bluetooth", "airplane mode"),
        ({"battery_saver": True}, "wifi", "battery saver"),
        ({"battery_saver": True}, "bluetooth", "battery saver"),
        ({"battery_saver": True}, "location", "battery saver"),
        ({"battery_saver": True}, "hotspot", "battery saver"),
        ({"cellular": False}, "hotspot", "cellular"),
    ],
)
def test_a_blocked_switch_stays_off_and_says_why(phone: dict[str, Any], name: Switch, blocker: str) -> None:
    blocked = msgspec.convert({"wifi": False, "cellular": False, **phone}, Phone)
    with pytest.raises(ToolError, match=blocker):
        blocked.switch(name, True)
    assert not getattr(blocked, name)


def test_airplane_mode_turns_the_radios_off_for_good() -> None:
    phone = Phone(bluetooth=True, hotspot=True, paired=["car"])
    phone.switch("airplane_mode", True)
    phone.switch("airplane_mode", False)
    assert not any((phone.cellular, phone.wifi, phone.bluetooth, phone.hotspot, phone.paired))
    with pytest.raises(ToolError, match="needs cellular"):
        phone.send("1", "a")
    assert phone.sent == []


def test_the_battery_saver_lowers_the_brightness() -> None:
    phone = Phone(brightness=90, location=True)
    phone.switch("battery_saver", True)
    assert (phone.brightness, phone.location, phone.wifi) == (50, False, False)
    with pytest.raises(ToolError, match="up to 50"):
        phone.set_level("brightness", 51)


def test_the_memory_has_an_end() -> None:
    phone = Phone()
    for _ in range(MAX_ENTRIES):
        phone.send("1", "a")
    with pytest.raises(ToolError, match="full"):
        phone.send("1", "a")


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([{"name": "no_tool", "arguments": "{}"}], "no_tool does not work"),
        ([{"name": "set_level", "arguments": "[["}], "set_level does not work"),
        ([{"name": "get_state", "arguments": "{}"}], "change nothing"),
        ([], "calls"),
    ],
)
def test_a_row_whose_calls_do_not_work_is_refused(calls: list[dict[str, str]], problem: str) -> None:
    with pytest.raises(TaskUnfit, match=problem):
        play(DeviceSettings(), {**row(0), "calls": calls}, "")
