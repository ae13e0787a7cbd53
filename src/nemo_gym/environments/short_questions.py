"""Short questions with one right answer, which a program makes and knows: sums, products and the calendar."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Final

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def short_question(rng: random.Random, level: int) -> tuple[str, str]:
    """A question and its answer: sums, products, weekdays near 2000, far weekdays or spans, by the level."""
    if level == 0:
        a, b = rng.randint(1, 60), rng.randint(1, 60)
        return f"What is {a} plus {b}?", str(a + b)
    if level == 1:
        a, b = rng.randint(11, 99), rng.randint(11, 99)
        return f"What is {a} times {b}?", str(a * b)
    years = (1990, 2030) if level == 2 else (1600, 2399)
    day = date(rng.randint(*years), 1, 1) + timedelta(days=rng.randrange(365))
    if level < 4:
        question = f"Which day of the week is {day.isoformat()} in the Gregorian calendar?"
        return question, DAYS[day.weekday()]
    later = day + timedelta(days=rng.randint(100, 40_000))
    return f"How many days after {day.isoformat()} is {later.isoformat()}?", str((later - day).days)
