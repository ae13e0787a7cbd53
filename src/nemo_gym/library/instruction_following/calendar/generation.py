"""Conversations about a day's events, with a schedule that keeps every rule."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Final

from nemo_gym.wire.items import Item, assistant, system, user

_EVENTS: Final = (
    "team meeting,dentist,lunch with Ana,piano lesson,call with the bank,gym,library visit,train to town,"
    "parents' evening,haircut,review of the plan,walk with the dog,interview,photo session,"
    "vaccination,museum tour"
)
_RULES: Final = (
    "You keep the calendar of one day. After the last message of the user, answer with a JSON list of all "
    'events and nothing else. Each entry has "event_id" (a number as text), "event_name", "start_time" '
    '(such as 10am or 2:30pm) and "duration" (minutes, a number). Events must not overlap, and each lies '
    "between {low} and {high}."
)


@dataclass(slots=True)
class Plan:
    """An event with its place in the schedule, in minutes."""

    id: str
    name: str
    start: int
    duration: int
    constraint: str | None = None


def conversation(rng: random.Random, level: int) -> tuple[list[Item], dict[str, Any], str]:
    """The messages, the expected state of the calendar, and an answer."""
    plans = _schedule(rng, 2 + level)
    low = min(plan.start for plan in plans) // 60 * 60
    high = -(-max(plan.start + plan.duration for plan in plans) // 60) * 60
    for plan in plans:
        plan.constraint = _constraint(rng, plan, level)
    order = rng.sample(plans, len(plans))
    for number, plan in enumerate(order, 1):
        plan.id = str(number)
    items = _messages(rng, order, level, clock(low), clock(high))
    state = {
        plan.id: {
            "event_id": plan.id,
            "duration": plan.duration,
            "constraint": plan.constraint,
            "min_time": clock(low),
            "max_time": clock(high),
        }
        for plan in order
    }
    answer = [
        {
            "event_id": plan.id,
            "event_name": plan.name,
            "start_time": clock(plan.start),
            "duration": plan.duration,
        }
        for plan in order
    ]
    return items, state, json.dumps(answer)


def clock(minutes: int) -> str:
    """A time such as 10am or 2:30pm."""
    hour, minute = divmod(minutes, 60)
    return f"{(hour - 1) % 12 + 1}{f':{minute:02}' if minute else ''}{'am' if hour < 12 else 'pm'}"


def _schedule(rng: random.Random, count: int) -> list[Plan]:
    """Events one after the other from the morning on, with gaps."""
    at = rng.randint(7, 9) * 60
    plans: list[Plan] = []
    for name in rng.sample(_EVENTS.split(","), count):
        at += rng.choice((0, 0, 15, 30, 45))
        plans.append(Plan("", name, at, rng.choice((30, 45, 60, 75, 90))))
        at += plans[-1].duration
    return plans


def _constraint(rng: random.Random, plan: Plan, level: int) -> str | None:
    end = plan.start + plan.duration
    before, after = min(end + rng.choice((0, 15, 30)), 23 * 60), max(plan.start - rng.choice((0, 15, 30)), 0)
    kinds = [
        None,
        f"at {clock(plan.start)}",
        f"before {clock(before)}",
        f"after {clock(after)}",
        f"between {clock(after)} and {clock(before)}",
    ]
    return rng.choice(kinds[: 2 + level] if level else kinds)


def _messages(rng: random.Random, plans: list[Plan], level: int, low: str, high: str) -> list[Item]:
    """At level 0 one message; then one for each event; from level 3 on some constraints come later."""
    requests: list[str] = []
    later: list[str] = []
    for plan in plans:
        rule = f", {plan.constraint}" if plan.constraint else ""
        first = f"Add event {plan.id}: {plan.name}, {plan.duration} minutes"
        if plan.constraint and level > 2 and rng.random() < 0.5:
            requests.append(f"{first}.")
            later.append(f"The event {plan.id} ({plan.name}) must be {plan.constraint}.")
        else:
            requests.append(f"{first}{rule}.")
    requests += later
    items: list[Item] = [system(_RULES.format(low=low, high=high))]
    if level == 0:
        return [*items, user(" ".join(requests))]
    for number, request in enumerate(requests[:-1]):
        items += [user(request), assistant("Noted.", id=f"msg_{number}")]
    return [*items, user(f"{requests[-1]} That is all: show me the calendar.")]
