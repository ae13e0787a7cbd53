"""Reports about the stock."""

from .quantities import pack
from .stock import Stock


def low_items(stock: Stock, limit: int) -> list[str]:
    """The names of which at most `limit` things are left."""
    return [name for name in stock.names() if stock.count(name) <= limit]


def boxes(stock: Stock, size: int) -> dict[str, int]:
    """The number of boxes for each name."""
    return {name: pack(stock.count(name), size) for name in stock.names()}


def largest(stock: Stock, n: int) -> list[tuple[str, int]]:
    """The n names with the most things; equal counts are in the order of the names."""
    counts = [(name, stock.count(name)) for name in stock.names()]
    return sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:n]
