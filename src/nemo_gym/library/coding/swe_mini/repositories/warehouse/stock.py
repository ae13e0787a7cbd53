"""The things on the shelves."""

from .quantities import parse_quantity


class Stock:
    """Counts of things by name."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def put(self, name: str, count: int = 1) -> None:
        """Add things."""
        if count < 1:
            raise ValueError("count must be at least 1")
        self._counts[name] = self._counts.get(name, 0) + count

    def put_text(self, text: str) -> None:
        """Add things by a text such as `3 x pear`."""
        count, name = parse_quantity(text)
        self.put(name, count)

    def take(self, name: str, count: int = 1) -> int:
        """Remove things, and return how many are left."""
        have = self._counts.get(name, 0)
        if count > have:
            raise LookupError(f"only {have} of {name}")
        left = have - count
        if left == 0:
            del self._counts[name]
        else:
            self._counts[name] = left
        return left

    def names(self) -> list[str]:
        """The names of the things that are there, sorted."""
        return sorted(self._counts)

    def count(self, name: str) -> int:
        """How many things of a name are there."""
        return self._counts.get(name, 0)
