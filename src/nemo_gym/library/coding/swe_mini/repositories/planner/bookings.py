"""Bookings of rooms."""

from .clock import parse_time
from .slots import Slot, free_slots, overlap


class Bookings:
    """The bookings of each room on one day."""

    def __init__(self) -> None:
        self._slots: dict[str, list[Slot]] = {}

    def book(self, room: str, start: str, end: str) -> bool:
        """Book a room unless it is taken; returns whether it is booked."""
        slot = parse_time(start), parse_time(end)
        if slot[0] >= slot[1]:
            raise ValueError("a booking ends after its start")
        if any(overlap(slot, other) for other in self._slots.get(room, [])):
            return False
        self._slots.setdefault(room, []).append(slot)
        return True

    def cancel(self, room: str, start: str) -> bool:
        """Remove the booking that starts at a time; returns whether there is one."""
        slots = self._slots.get(room, [])
        kept = [slot for slot in slots if slot[0] != parse_time(start)]
        self._slots[room] = kept
        return len(kept) < len(slots)

    def minutes(self, room: str) -> int:
        """How many minutes a room is taken."""
        return sum(end - start for start, end in self._slots.get(room, []))

    def free(self, room: str, start: str, end: str) -> list[Slot]:
        """The free slots of a room between two times."""
        day = parse_time(start), parse_time(end)
        inside = [slot for slot in self._slots.get(room, []) if overlap(slot, day)]
        return free_slots(inside, day)
