"""Accounts with a limit."""

from .money import format_amount


class Account:
    """An account that may go into debt down to a limit."""

    def __init__(self, owner: str, limit: int = 0) -> None:
        self.owner = owner
        self._limit = limit
        self._entries: list[int] = []

    def deposit(self, cents: int) -> None:
        """Add an amount."""
        if cents <= 0:
            raise ValueError("a deposit is more than nothing")
        self._entries.append(cents)

    def withdraw(self, cents: int) -> None:
        """Remove an amount."""
        if cents <= 0:
            raise ValueError("a withdrawal is more than nothing")
        if self.balance() - cents < -self._limit:
            raise ValueError("that is beyond the limit")
        self._entries.append(-cents)

    def balance(self) -> int:
        """The sum of all entries."""
        return sum(self._entries)

    def last_entries(self, n: int) -> list[str]:
        """The last n entries as text, the newest first."""
        newest = self._entries[::-1]
        return [format_amount(entry) for entry in newest[:n]]
