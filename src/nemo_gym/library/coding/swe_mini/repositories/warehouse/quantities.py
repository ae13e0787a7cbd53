"""Quantities of goods, as text and as numbers."""


def parse_quantity(text: str) -> tuple[int, str]:
    """Read `3 x pear` as (3, 'pear'); a name alone counts once."""
    left, mark, right = text.partition(" x ")
    if not mark:
        return 1, text.strip()
    count = int(left)
    if count < 1:
        raise ValueError(f"not a quantity: {text}")
    return count, right.strip().lower()


def pack(count: int, size: int) -> int:
    """The number of boxes of a size that are needed for so many things."""
    if size < 1:
        raise ValueError("a box holds at least one thing")
    return (count + size - 1) // size


def split_evenly(count: int, parts: int) -> list[int]:
    """Divide a count into parts that differ by at most one, the larger ones first."""
    base, rest = divmod(count, parts)
    return [base + 1 if number < rest else base for number in range(parts)]
