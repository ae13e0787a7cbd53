"""Orders of customers, and what the warehouse can deliver."""

from .stock import Stock


def missing(stock: Stock, order: dict[str, int]) -> dict[str, int]:
    """How many things of an order are not there, by name."""
    lacks = {name: count - stock.count(name) for name, count in order.items()}
    return {name: lack for name, lack in lacks.items() if lack > 0}


def deliver(stock: Stock, order: dict[str, int]) -> bool:
    """Take a whole order out of the stock, or nothing of it; returns whether it was delivered."""
    if missing(stock, order):
        return False
    for name, count in order.items():
        stock.take(name, count)
    return True


def merge_orders(orders: list[dict[str, int]]) -> dict[str, int]:
    """One order with the things of all orders."""
    total: dict[str, int] = {}
    for order in orders:
        for name, count in order.items():
            total[name] = total.get(name, 0) + count
    return total
