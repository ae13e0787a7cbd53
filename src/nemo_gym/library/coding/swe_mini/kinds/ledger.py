"""The bugs and the tests of the ledger."""

from __future__ import annotations

import random
from typing import Final

from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Kind, Module, Recorder
from nemo_gym.library.coding.swe_mini.repositories import ledger
from nemo_gym.library.coding.swe_mini.repositories.ledger import accounts, interest, money, transfers
from nemo_gym.library.coding.swe_mini.repositories.ledger.accounts import Account
from nemo_gym.library.coding.swe_mini.repositories.ledger.transfers import Bank

PEOPLE: Final[tuple[str, ...]] = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn")


def some_amount(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.parse_amount, f"{rng.randint(1, 99)}.{rng.randint(10, 99)}")


def short_amount(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.parse_amount, f"{rng.randint(1, 99)}.{rng.randint(1, 9)}")


def debt(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.parse_amount, f"-{rng.randint(1, 99)}.{rng.randint(10, 99)}")


def no_amount(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.parse_amount, f"{rng.randint(1, 99)}.{rng.randint(100, 999)}")


def amount_text(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.format_amount, rng.randint(1, 99) * 100 + rng.randint(1, 9))


def debt_text(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.format_amount, -rng.randint(1, 99) * 100 - rng.randint(10, 99))


def shares(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.share_out, 3 * rng.randint(5, 99) + 2, [1, 1, 1])


def weighted_shares(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(money.share_out, 10 * rng.randint(5, 99), [rng.randint(6, 8), 2, 2])


def account(rng: random.Random, recorder: Recorder, limit: int = 0) -> tuple[Account, int]:
    """An account and its balance."""
    value = recorder.new("account", Account, rng.choice(PEOPLE), limit)
    cents = rng.randint(50, 500) * 10
    recorder.do(value.deposit, cents)
    return value, cents


def balance(rng: random.Random, recorder: Recorder) -> CallTest:
    value, cents = account(rng, recorder)
    recorder.do(value.withdraw, rng.randint(1, cents - 1))
    return recorder.check(value.balance)


def whole_balance(rng: random.Random, recorder: Recorder) -> CallTest:
    value, cents = account(rng, recorder)
    recorder.do(value.withdraw, cents)
    return recorder.check(value.balance)


def no_deposit(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(account(rng, recorder)[0].deposit, -rng.randint(0, 99))


def no_withdrawal(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(account(rng, recorder)[0].withdraw, -rng.randint(1, 99))


def beyond_limit(rng: random.Random, recorder: Recorder) -> CallTest:
    limit = rng.randint(10, 99) * 10
    value, cents = account(rng, recorder, limit)
    return recorder.check(value.withdraw, cents + limit + rng.randint(1, 9))


def within_limit(rng: random.Random, recorder: Recorder) -> CallTest:
    limit = rng.randint(10, 99) * 10
    value, cents = account(rng, recorder, limit)
    recorder.do(value.withdraw, cents + limit)
    return recorder.check(value.balance)


def entries(rng: random.Random, recorder: Recorder) -> CallTest:
    value, cents = account(rng, recorder)
    recorder.do(value.withdraw, cents // 3)
    recorder.do(value.deposit, rng.randint(1, 99))
    return recorder.check(value.last_entries, 2)


def all_entries(rng: random.Random, recorder: Recorder) -> CallTest:
    value, cents = account(rng, recorder)
    recorder.do(value.withdraw, rng.randint(1, cents - 1))
    return recorder.check(value.last_entries, 5)


def bank(rng: random.Random, recorder: Recorder) -> tuple[Bank, list[str], list[int]]:
    """A bank, the owners of its accounts, and their different balances."""
    value = recorder.new("bank", Bank)
    people: list[str] = rng.sample(PEOPLE, 3)
    cents = rng.sample(range(100, 900), 3)
    for person, amount in zip(people, cents, strict=True):
        recorder.do(value.open_account, person, amount)
    return value, people, cents


def transferred(rng: random.Random, recorder: Recorder) -> CallTest:
    value, people, cents = bank(rng, recorder)
    recorder.do(value.transfer, people[0], people[1], rng.randint(1, cents[0]))
    return recorder.check(value.balances)


def small_transfer(rng: random.Random, recorder: Recorder) -> CallTest:
    value, people, _ = bank(rng, recorder)
    recorder.do(value.transfer, people[0], people[1], rng.randint(1, 99))
    return recorder.check(value.balances)


def refused_transfer(rng: random.Random, recorder: Recorder) -> CallTest:
    value, people, cents = bank(rng, recorder)
    recorder.attempt(value.transfer, people[0], people[1], cents[0] + rng.randint(1, 99))
    return recorder.check(value.balances)


def opened_twice(rng: random.Random, recorder: Recorder) -> CallTest:
    value, people, _ = bank(rng, recorder)
    return recorder.check(value.open_account, rng.choice(people), rng.randint(100, 900))


def with_credit(rng: random.Random, recorder: Recorder) -> CallTest:
    value = recorder.new("bank", Bank)
    one, other = rng.sample(PEOPLE, 2)
    recorder.do(value.open_account, one, 100, rng.randint(500, 900))
    recorder.do(value.open_account, other, rng.randint(100, 900))
    recorder.do(value.transfer, one, other, rng.randint(200, 500))
    return recorder.check(value.balances)


def richest(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(bank(rng, recorder)[0].richest)


def equally_rich(rng: random.Random, recorder: Recorder) -> CallTest:
    value = recorder.new("bank", Bank)
    amount = rng.randint(100, 900)
    for person in sorted(rng.sample(PEOPLE, 3), reverse=True):
        recorder.do(value.open_account, person, amount)
    return recorder.check(value.richest)


def some_interest(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(interest.yearly_interest, rng.randint(10, 99) * 100 + 99, rng.randint(2, 9))


def compound(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(interest.grow, rng.randint(10, 99) * 1000, rng.randint(5, 15), rng.randint(2, 5))


def payments(rng: random.Random, recorder: Recorder) -> CallTest:
    rate = rng.randint(20, 60)
    return recorder.check(interest.instalments, rate * rng.randint(2, 5) + rng.randint(1, rate - 1), rate)


def even_payments(rng: random.Random, recorder: Recorder) -> CallTest:
    rate = rng.randint(20, 60)
    return recorder.check(interest.instalments, rate * rng.randint(2, 5), rate)


def high_income(rng: random.Random, recorder: Recorder) -> CallTest:
    brackets = [(0, 10), (rng.randint(20, 30) * 100, 20), (rng.randint(50, 60) * 100, 40)]
    return recorder.check(interest.tax_of, rng.randint(70, 99) * 100, rng.sample(brackets, 3))


def low_income(rng: random.Random, recorder: Recorder) -> CallTest:
    brackets = [(rng.randint(20, 30) * 100, 20), (rng.randint(50, 60) * 100, 40)]
    return recorder.check(interest.tax_of, rng.randint(1, 19) * 100, brackets)


def mixed_brackets(rng: random.Random, recorder: Recorder) -> CallTest:
    brackets = [(0, 10), (rng.randint(50, 60) * 100, 40), (rng.randint(20, 30) * 100, 20)]
    return recorder.check(interest.tax_of, rng.randint(70, 99) * 100, brackets)


KIND: Final = Kind(
    ledger,
    ("ledger", "finance", "bookkeeping", "treasury"),
    (
        Module(
            money,
            (some_amount, amount_text, shares, weighted_shares),
            (
                Bug(
                    'part.ljust(2, "0")',
                    'part.rjust(2, "0")',
                    "An amount with one digit after the point is read as too small.",
                    "parse_amount",
                    short_amount,
                ),
                Bug(
                    'sign = -1 if text.startswith("-") else 1',
                    'sign = 1 if text.startswith("-") else 1',
                    "A negative amount is read as a positive one.",
                    "parse_amount",
                    debt,
                ),
                Bug(
                    "if len(part) > 2:",
                    "if len(part) > 3:",
                    "An amount with three digits after the point is not refused.",
                    "parse_amount",
                    no_amount,
                ),
                Bug(
                    "{whole}.{part:02}",
                    "{whole}.{part}",
                    "An amount with few cents is shown with one digit after the point.",
                    "format_amount",
                    amount_text,
                ),
                Bug(
                    "divmod(abs(cents), 100)",
                    "divmod(cents, 100)",
                    "A negative amount is shown with wrong digits.",
                    "format_amount",
                    debt_text,
                ),
                Bug(
                    "        parts[number] += 1\n",
                    "        parts[0] += 1\n",
                    "The first share gets all the cents that are left.",
                    "share_out",
                    shares,
                ),
                Bug(
                    "cents * weight // total for",
                    "cents // len(weights) for",
                    "An amount is always divided into equal shares.",
                    "share_out",
                    weighted_shares,
                ),
            ),
        ),
        Module(
            accounts,
            (balance, whole_balance, within_limit, entries),
            (
                Bug(
                    'if cents <= 0:\n            raise ValueError("a deposit',
                    'if cents < -99:\n            raise ValueError("a deposit',
                    "A deposit of nothing or less is accepted.",
                    "deposit",
                    no_deposit,
                ),
                Bug(
                    'if cents <= 0:\n            raise ValueError("a withdrawal',
                    'if cents == 0:\n            raise ValueError("a withdrawal',
                    "A negative withdrawal is accepted and adds money.",
                    "withdraw",
                    no_withdrawal,
                ),
                Bug(
                    "self.balance() - cents < -self._limit",
                    "self.balance() < -self._limit",
                    "One can withdraw more than the limit allows.",
                    "withdraw",
                    beyond_limit,
                ),
                Bug(
                    "self.balance() - cents < -self._limit",
                    "self.balance() - cents <= -self._limit",
                    "One can't withdraw all the money that the limit allows.",
                    "withdraw",
                    within_limit,
                ),
                Bug(
                    "self._entries.append(-cents)",
                    "self._entries.append(cents)",
                    "A withdrawal makes the balance larger.",
                    "withdraw",
                    balance,
                ),
                Bug(
                    "newest = self._entries[::-1]",
                    "newest = self._entries",
                    "The list of the last entries shows the first ones.",
                    "last_entries",
                    entries,
                ),
                Bug(
                    "newest = self._entries[::-1]",
                    "newest = self._entries[:0:-1]",
                    "The list of the last entries lacks the oldest one.",
                    "last_entries",
                    all_entries,
                ),
            ),
            needs=("money",),
        ),
        Module(
            transfers,
            (transferred, opened_twice, with_credit, richest),
            (
                Bug(
                    "source.withdraw(cents)\n        target.deposit(cents)",
                    "target.withdraw(cents)\n        source.deposit(cents)",
                    "A transfer moves the money in the wrong direction.",
                    "transfer",
                    small_transfer,
                ),
                Bug(
                    "source.withdraw(cents)\n        target.deposit(cents)",
                    "target.deposit(cents)\n        source.withdraw(cents)",
                    "A transfer that is refused still adds money to the account of the taker.",
                    "transfer",
                    refused_transfer,
                ),
                Bug(
                    "        target.deposit(cents)\n",
                    "",
                    "The money of a transfer is lost on its way.",
                    "transfer",
                    transferred,
                ),
                Bug(
                    "if owner in self._accounts:",
                    "if not owner:",
                    "Opening an account again for the same owner is not refused.",
                    "open_account",
                    opened_twice,
                ),
                Bug(
                    "Account(owner, limit)",
                    "Account(owner)",
                    "The limit of a new account has no effect.",
                    "open_account",
                    with_credit,
                ),
                Bug(
                    "(-self._accounts[owner].balance(), owner)",
                    "(self._accounts[owner].balance(), owner)",
                    "The richest owner is in fact the poorest.",
                    "richest",
                    richest,
                ),
                Bug(
                    "(-self._accounts[owner].balance(), owner)",
                    "-self._accounts[owner].balance()",
                    "Among equally rich owners it is not the first by name who counts as the richest.",
                    "richest",
                    equally_rich,
                ),
            ),
            needs=("money", "accounts"),
        ),
        Module(
            interest,
            (some_interest, compound, payments, high_income),
            (
                Bug(
                    "return cents * percent // 100",
                    "return cents // 100 * percent",
                    "The interest on a broken amount is too small.",
                    "yearly_interest",
                    some_interest,
                ),
                Bug(
                    "        cents += yearly_interest(cents, percent)\n        amounts.append(cents)",
                    "        amounts.append(cents)\n        cents += yearly_interest(cents, percent)",
                    "The list of amounts begins with the amount before the first year.",
                    "grow",
                    compound,
                ),
                Bug(
                    "        cents += yearly_interest(cents, percent)\n        amounts.append(cents)",
                    "        amounts.append(cents + yearly_interest(cents, percent))",
                    "The amount does not grow after the first year.",
                    "grow",
                    compound,
                ),
                Bug(
                    "min(rate, cents)",
                    "rate",
                    "The last payment is larger than what is left to pay.",
                    "instalments",
                    payments,
                ),
                Bug(
                    "while cents > 0:",
                    "while cents >= rate:",
                    "The last payment is missing.",
                    "instalments",
                    payments,
                ),
                Bug(
                    "while cents > 0:",
                    "while cents > rate:",
                    "One payment is missing when the amount is a multiple of the rate.",
                    "instalments",
                    even_payments,
                ),
                Bug(
                    "            above = bound\n",
                    "",
                    "A high income pays the tax of the lower brackets several times.",
                    "tax_of",
                    high_income,
                ),
                Bug(
                    "sorted(brackets, reverse=True)",
                    "brackets",
                    "The tax depends on the order of the brackets.",
                    "tax_of",
                    mixed_brackets,
                ),
                Bug(
                    "if above > bound:",
                    "if above != bound:",
                    "A low income gets money back.",
                    "tax_of",
                    low_income,
                ),
            ),
        ),
    ),
    {
        "Account": ("Deposit", "Purse", "Wallet"),
        "Bank": ("Clearing", "Register"),
        "parse_amount": ("read_amount", "cents_of"),
        "share_out": ("divide_amount", "apportion"),
        "last_entries": ("recent_entries", "newest_entries"),
        "richest": ("wealthiest", "top_owner"),
        "instalments": ("repayments", "payment_plan"),
    },
)
