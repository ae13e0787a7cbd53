"""Slots: half-open pairs (start, end) of minutes."""

Slot = tuple[int, int]


def overlap(one: Slot, other: Slot) -> bool:
    """Whether two slots have a minute in common."""
    return one[0] < other[1] and other[0] < one[1]


def merge_slots(slots: list[Slot]) -> list[Slot]:
    """The slots in order; those that touch or overlap become one."""
    result: list[Slot] = []
    for start, end in sorted(slots):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def free_slots(slots: list[Slot], day: Slot) -> list[Slot]:
    """The parts of a day that no slot takes."""
    free: list[Slot] = []
    position = day[0]
    for start, end in merge_slots(slots):
        if start > position:
            free.append((position, start))
        position = max(position, end)
    if position < day[1]:
        free.append((position, day[1]))
    return free
