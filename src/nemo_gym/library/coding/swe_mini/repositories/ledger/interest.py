"""Interest and instalments."""


def yearly_interest(cents: int, percent: int) -> int:
    """The interest of a year in whole cents, rounded down."""
    return cents * percent // 100


def grow(cents: int, percent: int, years: int) -> list[int]:
    """The amount at the end of each year, with the interest of the years before it."""
    amounts: list[int] = []
    for _ in range(years):
        cents += yearly_interest(cents, percent)
        amounts.append(cents)
    return amounts


def instalments(cents: int, rate: int) -> list[int]:
    """The payments of at most `rate` that pay an amount back."""
    payments: list[int] = []
    while cents > 0:
        payment = min(rate, cents)
        payments.append(payment)
        cents -= payment
    return payments


def tax_of(income: int, brackets: list[tuple[int, int]]) -> int:
    """The tax on an income; each bracket is a lower bound and the percent of what lies above it."""
    tax = 0
    above = income
    for bound, percent in sorted(brackets, reverse=True):
        if above > bound:
            tax += (above - bound) * percent // 100
            above = bound
    return tax
