"""Times of a day, as minutes since midnight."""

DAY = 24 * 60


def parse_time(text: str) -> int:
    """The minutes of a time such as `09:30`."""
    hours, minutes = text.split(":")
    result = int(hours) * 60 + int(minutes)
    if int(minutes) >= 60 or result > DAY:
        raise ValueError(f"no time: {text}")
    return result


def format_time(minutes: int) -> str:
    """The time as text; minutes beyond midnight count from midnight on."""
    hours, rest = divmod(minutes % DAY, 60)
    return f"{hours:02}:{rest:02}"


def between(start: str, end: str) -> int:
    """The minutes from one time to the next occurrence of another."""
    return (parse_time(end) - parse_time(start)) % DAY
