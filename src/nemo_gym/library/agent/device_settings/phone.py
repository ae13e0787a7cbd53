"""The phone: its settings, contacts, messages and alarms, and what depends on what."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from nemo_gym import ToolError

Switch = Literal[
    "airplane_mode", "battery_saver", "cellular", "wifi", "bluetooth", "location", "hotspot", "do_not_disturb"
]
Level = Literal["brightness", "volume"]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
State: TypeAlias = dict[str, Any]

RADIOS: Final = ("cellular", "wifi", "bluetooth")
SAVED: Final = ("wifi", "bluetooth", "location")
"""What the battery saver turns off and blocks."""
SAVER_BRIGHTNESS: Final = 50
MAX_ENTRIES: Final = 200
"""The most messages and alarms."""


class Phone(msgspec.Struct, forbid_unknown_fields=True):
    """The state of a phone."""

    airplane_mode: bool = False
    battery_saver: bool = False
    cellular: bool = True
    wifi: bool = True
    bluetooth: bool = False
    location: bool = False
    hotspot: bool = False
    do_not_disturb: bool = False
    brightness: Percent = 40
    volume: Percent = 30
    contacts: dict[Text, Text] = {}
    """Phone numbers by name."""
    sent: list[tuple[Text, Text]] = []
    """Messages: the number and the text."""
    shared: list[Text] = []
    """The numbers that have got the location."""
    alarms: list[Text] = []
    paired: list[Text] = []
    """The devices that are connected over Bluetooth."""

    def switch(self, name: Switch, on: bool) -> None:
        """Turn something on or off, with what follows from it.

        Raises:
            ToolError: something else blocks it.
        """
        if on:
            self.check(name)
        setattr(self, name, on)
        if name == "airplane_mode" and on:
            self.cellular = self.wifi = self.bluetooth = self.hotspot = False
        if name == "battery_saver" and on:
            self.wifi = self.bluetooth = self.location = self.hotspot = False
            self.brightness = min(self.brightness, SAVER_BRIGHTNESS)
        if not self.cellular:
            self.hotspot = False
        if not self.bluetooth:
            self.paired = []

    def check(self, name: Switch) -> None:
        """Raise a ToolError where something blocks the switch."""
        if name in RADIOS and self.airplane_mode:
            raise ToolError(f"{name} can't be turned on in airplane mode.")
        if name in (*SAVED, "hotspot") and self.battery_saver:
            raise ToolError(f"{name} can't be turned on while the battery saver is on.")
        if name == "hotspot":
            self.need("cellular")

    def need(self, *names: Switch) -> None:
        """Raise a ToolError unless all of these are on."""
        for name in names:
            if not getattr(self, name):
                raise ToolError(f"This needs {name}, which is off.")

    def set_level(self, name: Level, percent: int) -> None:
        """Set the brightness or the volume."""
        if name == "brightness" and self.battery_saver and percent > SAVER_BRIGHTNESS:
            raise ToolError(f"The battery saver allows a brightness up to {SAVER_BRIGHTNESS}.")
        if name == "volume" and self.do_not_disturb and percent:
            raise ToolError("The volume can't be raised while do_not_disturb is on.")
        setattr(self, name, percent)

    def send(self, number: str, text: str) -> None:
        """Send a message."""
        self.need("cellular")
        _add(self.sent, (number, text))

    def share(self, number: str) -> None:
        """Share the location."""
        self.need("location", "cellular")
        _add(self.shared, number)

    def add_alarm(self, time: str) -> None:
        """Set an alarm."""
        if time in self.alarms:
            raise ToolError(f"There is an alarm at {time} already.")
        _add(self.alarms, time)

    def remove_alarm(self, time: str) -> None:
        """Delete an alarm."""
        if time not in self.alarms:
            raise ToolError(f"There is no alarm at {time}.")
        self.alarms.remove(time)

    def pair(self, device: str) -> None:
        """Connect a device over Bluetooth."""
        self.need("bluetooth")
        if device in self.paired:
            raise ToolError(f"{device} is connected already.")
        _add(self.paired, device)


def _add(entries: list[Any], entry: Any) -> None:
    if len(entries) >= MAX_ENTRIES:
        raise ToolError("The phone's memory is full.")
    entries.append(entry)
