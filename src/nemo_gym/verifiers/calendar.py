"""Whether a schedule that a model wrote keeps the durations, windows and constraints of its events."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final, cast

import msgspec

from nemo_gym.verifiers.opposition import is_opposed
from nemo_gym.verifiers.text import is_reordered

MAX_EVENTS: Final = 200
MAX_TEXT: Final = 100_000
"""The most characters of an answer that are read, from its start."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is known about one event, in minutes after midnight."""

    id: str
    duration: int
    earliest: int
    latest: int
    """The last minute at which it may end."""
    exact_start: int | None = None


@dataclass(frozen=True, slots=True)
class ScheduleVerdict:
    """The result of a check; `reason` is `right` or a code for what is wrong."""

    reason: str
    answer: str | None = None

    @property
    def holds(self) -> bool:
        return self.reason == "right"


def read_events(state: Mapping[str, Any]) -> list[Event]:
    """The events of a row, each with `event_id`, `duration`, `constraint`, `min_time` and `max_time`.

    Raises:
        ValueError: a field is missing or has a wrong value.
    """
    if len(state) > MAX_EVENTS:
        raise ValueError(f"{len(state)} events; {MAX_EVENTS} are possible")
    return [_event(fields) for fields in state.values()]


def check_schedule(text: str, events: list[Event]) -> ScheduleVerdict:
    """Judge the only JSON list of objects in a text: every event once, none overlapping, all rules kept.

    An entry has `event_id`, `start_time` and `duration` in minutes. Without events any text holds. Another
    list with other entries makes several answers, and words that deny the list make it none.
    """
    if not events:
        return ScheduleVerdict("right")
    text = text[:MAX_TEXT]
    lists = list(islice(_lists(text), _MAX_LISTS))
    if not lists or is_reordered(text):
        return ScheduleVerdict("no_answer")
    first, start, end = lists[0]
    answer = msgspec.json.encode(first).decode()[:1000]
    if any(entries != first for entries, _, _ in lists):
        return ScheduleVerdict("several_answers", answer)
    if is_opposed(text, start, end, str, is_open=True):
        return ScheduleVerdict("denied", answer)
    return ScheduleVerdict(_reason(first, events), answer)


def first_list(text: str) -> list[dict[str, Any]] | None:
    """The first JSON list in a text that is not empty and holds only objects."""
    return next((entries for entries, _, _ in _lists(text)), None)


def _lists(text: str) -> Iterator[tuple[list[dict[str, Any]], int, int]]:
    """The lists of objects in a text, each with its start and end; `_MAX_LISTS` brackets are tried."""
    at = text.find("[")
    for _ in range(_MAX_LISTS):
        if at < 0:
            return
        end = _closing(text, at)
        entries = _decode(text[at : end + 1]) if end > at else None
        if entries is not None:
            yield entries, at, end + 1
        at = text.find("[", at + 1 if entries is None else end + 1)


def read_time(text: object) -> int:
    """The minute of the day of a time such as `10am`, `10:30 pm` or `14:00`; 24:00 ends the day.

    Raises:
        ValueError: it is no time.
    """
    match = _TIME.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"no time: {str(text)[:50]!r}; write it as 10am, 10:30am or 14:00")
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half is None and match[2] is None:
        raise ValueError(f"no time: {text!r}; add am or pm, or minutes")
    if minute > 59 or (half and not 1 <= hour <= 12) or hour * 60 + minute > 24 * 60:
        raise ValueError(f"there is no time {text!r}")
    if half:
        hour = hour % 12 + (12 if half[0] == "p" else 0)
    return hour * 60 + minute


_TIME: Final = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?\s{0,5}(am|pm|a\.m\.|p\.m\.)?")
_MAX_LISTS: Final = 50
"""The most opening brackets at which a list is looked for."""
_DAY: Final = 24 * 60


def _event(fields: object) -> Event:
    if not isinstance(fields, dict):
        raise ValueError("an event is not an object")
    values = cast("dict[str, Any]", fields)
    missing = [name for name in ("event_id", "duration") if values.get(name) is None]
    if missing:
        raise ValueError(f"an event has no {' and no '.join(missing)}")
    duration = values["duration"]
    if type(duration) is not int or not 0 < duration <= _DAY:
        raise ValueError(f"the duration {str(duration)[:50]!r} is not 1 to {_DAY} minutes")
    low = 0 if values.get("min_time") is None else read_time(values["min_time"])
    high = _DAY if values.get("max_time") is None else read_time(values["max_time"])
    start, end, exact = _limits(values.get("constraint"))
    return Event(str(values["event_id"]), duration, max(low, start), min(high, end), exact)


def _limits(constraint: object) -> tuple[int, int, int | None]:
    """The earliest start, the latest end and the exact start of a constraint such as `before 2pm`."""
    if constraint is None or constraint == "":
        return 0, _DAY, None
    match str(constraint).strip().lower().split(" ", 1):
        case ["before", time]:
            return 0, read_time(time), None
        case ["after", time]:
            return read_time(time), _DAY, None
        case ["at", time]:
            return 0, _DAY, read_time(time)
        case ["between", times] if " and " in times:
            first, second = times.split(" and ", 1)
            return read_time(first), read_time(second), None
        case _:
            raise ValueError(
                f"the constraint {str(constraint)[:50]!r} is not before T, after T, at T or between A and B"
            )


def _reason(entries: list[dict[str, Any]], events: list[Event]) -> str:
    by_id = {str(entry.get("event_id")): entry for entry in entries}
    if len(entries) != len(events) or set(by_id) != {event.id for event in events}:
        return "wrong_events"
    spans: list[tuple[int, int]] = []
    for event in events:
        entry = by_id[event.id]
        if type(entry.get("duration")) is not int or entry["duration"] != event.duration:
            return "wrong_duration"
        try:
            start = read_time(entry.get("start_time"))
        except ValueError:
            return "malformed"
        if start < event.earliest or start + event.duration > event.latest:
            return "outside_limits"
        if event.exact_start not in (None, start):
            return "outside_limits"
        spans.append((start, start + event.duration))
    return "overlap" if any(first[1] > second[0] for first, second in pairwise(sorted(spans))) else "right"


def _closing(text: str, at: int) -> int:
    """The place of the bracket that closes the one at `at`, outside of strings; -1 without one."""
    depth = 0
    for match in _BRACKET.finditer(text, at, at + _MAX_LIST):
        depth += {"[": 1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return -1


_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]]', re.DOTALL)
_MAX_LIST: Final = 20_000
"""The most characters of a list."""


def _decode(text: str) -> list[dict[str, Any]] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if not isinstance(value, list) or not value:
        return None
    entries = cast("list[Any]", value)
    return entries if all(isinstance(entry, dict) for entry in entries) else None
