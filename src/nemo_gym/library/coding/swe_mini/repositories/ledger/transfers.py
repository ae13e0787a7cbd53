"""Transfers between accounts."""

from .accounts import Account


class Bank:
    """Accounts by the names of their owners."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def open_account(self, owner: str, cents: int, limit: int = 0) -> None:
        """Open an account with a first deposit."""
        if owner in self._accounts:
            raise ValueError(f"{owner} has an account")
        account = Account(owner, limit)
        account.deposit(cents)
        self._accounts[owner] = account

    def transfer(self, giver: str, taker: str, cents: int) -> None:
        """Move an amount; without enough money nothing changes."""
        source, target = self._accounts[giver], self._accounts[taker]
        source.withdraw(cents)
        target.deposit(cents)

    def balances(self) -> dict[str, int]:
        """The balance of every account."""
        return {owner: account.balance() for owner, account in self._accounts.items()}

    def richest(self) -> str:
        """The owner with the highest balance; the first by name if there are several."""
        return min(self._accounts, key=lambda owner: (-self._accounts[owner].balance(), owner))
