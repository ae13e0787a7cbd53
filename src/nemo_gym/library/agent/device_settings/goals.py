"""What a user wants of the phone: sentences, and the calls that do it with as few changes as possible."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from nemo_gym.library.agent.device_settings.phone import RADIOS, SAVED, SAVER_BRIGHTNESS, Phone

NAMES: Final = ("Ada", "Bo", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jon")
DEVICES: Final = ("headphones", "speaker", "car", "watch", "keyboard")
TEXTS: Final = (
    "I arrive at {}.",
    "See you at {}.",
    "The train leaves at {}.",
    "Please call me at {}.",
    "Lunch is at {}!",
)


class Call(msgspec.Struct):
    """A tool call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


def call(tool: str, /, **arguments: Any) -> Call:
    """A call of a tool."""
    return Call(tool, json.dumps(arguments))


def switched(phone: Phone, name: str) -> Iterator[Call]:
    """The calls that turn something on, together with what it needs."""
    if getattr(phone, name):
        return
    if name in (*SAVED, "hotspot") and phone.battery_saver:
        yield call("set_switch", name="battery_saver", on=False)
        phone.battery_saver = False
    if name in RADIOS and phone.airplane_mode:
        yield call("set_switch", name="airplane_mode", on=False)
        phone.airplane_mode = False
    if name == "hotspot":
        yield from switched(phone, "cellular")
    yield call("set_switch", name=name, on=True)
    setattr(phone, name, True)


Goal = Callable[[random.Random, Phone], tuple[str, list[Call]]]


def level_goal(rng: random.Random, phone: Phone) -> tuple[str, list[Call]]:
    """Set the brightness or the volume."""
    name = rng.choice(("brightness", "volume"))
    percent = rng.choice([n for n in range(5, 101) if n not in (phone.brightness, phone.volume)])
    calls: list[Call] = []
    blocker = "battery_saver" if name == "brightness" else "do_not_disturb"
    if getattr(phone, blocker) and (name == "volume" or percent > SAVER_BRIGHTNESS):
        calls.append(call("set_switch", name=blocker, on=False))
        setattr(phone, blocker, False)
    setattr(phone, name, percent)
    return f"Set the {name} to {percent} percent.", [*calls, call("set_level", name=name, percent=percent)]


def alarm_goal(rng: random.Random, phone: Phone) -> tuple[str, list[Call]]:
    """Set or delete an alarm."""
    if phone.alarms and rng.random() < 0.4:
        time = phone.alarms.pop()
        return f"Delete the alarm at {time}.", [call("remove_alarm", time=time)]
    time = _time(rng, 0)
    while time in phone.alarms:
        time = _time(rng, 0)
    return f"Set an alarm at {time}.", [call("add_alarm", time=time)]


def message_goal(rng: random.Random, phone: Phone) -> tuple[str, list[Call]]:
    """Send a message, which needs cellular."""
    name, text = rng.choice(sorted(phone.contacts)), rng.choice(TEXTS).format(_time(rng, 8))
    calls = [*switched(phone, "cellular"), call("send_message", number=phone.contacts[name], text=text)]
    return f'Send {name} the message "{text}"', calls


def share_goal(rng: random.Random, phone: Phone) -> tuple[str, list[Call]]:
    """Share the location, which needs location and cellular."""
    name = rng.choice(sorted(phone.contacts))
    calls = [*switched(phone, "location"), *switched(phone, "cellular")]
    return f"Share my location with {name}.", [*calls, call("share_location", number=phone.contacts[name])]


def pair_goal(rng: random.Random, phone: Phone) -> tuple[str, list[Call]]:
    """Connect a device, which needs Bluetooth."""
    device = rng.choice(DEVICES)
    return f"Connect the {device}.", [*switched(phone, "bluetooth"), call("connect_device", device=device)]


def hotspot_goal(_: random.Random, phone: Phone) -> tuple[str, list[Call]]:
    """Open a hotspot, which needs cellular."""
    return "Open a hotspot.", list(switched(phone, "hotspot"))


EASY: Final[tuple[Goal, ...]] = (level_goal, alarm_goal)
HARD: Final[tuple[Goal, ...]] = (message_goal, share_goal, pair_goal, hotspot_goal, level_goal, alarm_goal)


def draw(rng: random.Random, level: int) -> tuple[Phone, list[str], list[Call]]:
    """A phone, the user's wishes and the calls that fulfil them, of a level."""
    phone = start(rng, level)
    before = msgspec.json.encode(phone)
    goals = rng.sample(HARD if level else EASY, max(1, level))
    if level and not {message_goal, share_goal, pair_goal} & set(goals):
        goals[0] = message_goal
    wishes = [goal(rng, phone) for goal in goals]
    calls = [one for _, calls in wishes for one in calls]
    return msgspec.json.decode(before, type=Phone), [text for text, _ in wishes], calls


def start(rng: random.Random, level: int) -> Phone:
    """A phone at the start; from level 2 on things block what the user wants."""
    names = rng.sample(NAMES, 5)
    phone = Phone(
        brightness=rng.randrange(5, SAVER_BRIGHTNESS),
        volume=rng.randrange(5, 100),
        contacts={name: f"+49 30 {rng.randrange(10_000, 100_000)}" for name in names},
        alarms=sorted({_time(rng, 12) for _ in range(2)}),
    )
    if level >= 1:
        phone.cellular, phone.bluetooth = rng.random() < 0.5, rng.random() < 0.3
    if level >= 2:
        phone.switch(rng.choice(("battery_saver", "airplane_mode")), True)
        phone.do_not_disturb = rng.random() < 0.5
    if level >= 3:
        phone.switch("battery_saver", True)
        phone.switch("airplane_mode", True)
    return phone


def _time(rng: random.Random, first_hour: int) -> str:
    return f"{rng.randrange(first_hour, 24):02}:{rng.randrange(60):02}"
