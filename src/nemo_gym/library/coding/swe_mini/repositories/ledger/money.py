"""Amounts of money in cents."""


def parse_amount(text: str) -> int:
    """The cents of an amount such as `-12.50`."""
    sign = -1 if text.startswith("-") else 1
    whole, _, part = text.lstrip("-").partition(".")
    if len(part) > 2:
        raise ValueError(f"no amount: {text}")
    return sign * (int(whole) * 100 + int(part.ljust(2, "0")))


def format_amount(cents: int) -> str:
    """The amount as text with two digits after the point."""
    sign = "-" if cents < 0 else ""
    whole, part = divmod(abs(cents), 100)
    return f"{sign}{whole}.{part:02}"


def share_out(cents: int, weights: list[int]) -> list[int]:
    """Divide an amount by weights; the cents that are left go to the first ones, one each."""
    total = sum(weights)
    parts = [cents * weight // total for weight in weights]
    for number in range(cents - sum(parts)):
        parts[number] += 1
    return parts
