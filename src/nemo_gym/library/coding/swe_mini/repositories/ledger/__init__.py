"""Amounts of money, accounts, transfers and interest."""
