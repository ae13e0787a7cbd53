"""Small modules with tests, and ways to break each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nemo_gym.environments.repository_tests import CallTest


@dataclass(frozen=True, slots=True)
class Problem:
    """A module without a mistake, its tests, and edits that break it."""

    name: str
    source: str
    tests: tuple[CallTest, ...]
    """Tests that are also in the repository."""
    held_out: tuple[CallTest, ...]
    """More tests, which the model does not see."""
    bugs: tuple[tuple[str, str], ...]
    """Pairs of the right text and the wrong text in its place."""

    def broken(self, bug: int) -> str:
        """The module with one of its bugs."""
        right, wrong = self.bugs[bug]
        if self.source.count(right) != 1:
            raise ValueError(f"{self.name}: {right!r} must occur once")
        return self.source.replace(right, wrong)


STOCK: Final = """\
from inventory import Inventory
stock = Inventory()
stock.add('pear', 3)
stock.add('apple')
"""
MANY: Final = """\
from inventory import Inventory
stock = Inventory()
for name, count in [('fig', 2), ('date', 5), ('fig', 4), ('nut', 1), ('date', 7)]:
    stock.add(name, count)
"""
INTERVAL: Final = "from intervals import covered, gaps, merge"
NUMERAL: Final = "from roman import from_roman, to_roman"
LINE: Final = "from wrapping import justify, wrap"

INVENTORY: Final = Problem(
    name="inventory",
    source='''"""A stock of things that can be taken out again."""


class Inventory:
    def __init__(self):
        self._counts = {}

    def add(self, name, count=1):
        if count < 1:
            raise ValueError("count must be at least 1")
        self._counts[name] = self._counts.get(name, 0) + count

    def take(self, name, count=1):
        have = self._counts.get(name, 0)
        if count > have:
            raise LookupError(f"only {have} of {name}")
        left = have - count
        if left == 0:
            del self._counts[name]
        else:
            self._counts[name] = left

    def total(self):
        return sum(self._counts.values())

    def names(self):
        return sorted(self._counts)
''',
    tests=(
        CallTest("adding_again_adds_up", "stock.total()", STOCK + "stock.add('pear', 2)", expected="6"),
        CallTest(
            "taking_all_forgets_the_name",
            "stock.names()",
            STOCK + "stock.take('pear', 3)",
            expected="['apple']",
        ),
        CallTest("taking_too_many_is_refused", "stock.take('apple', 2)", STOCK, raises="LookupError"),
        CallTest("names_are_sorted", "stock.names()", STOCK, expected="['apple', 'pear']"),
        CallTest("adding_nothing_is_refused", "stock.add('plum', 0)", STOCK, raises="ValueError"),
    ),
    held_out=(
        CallTest(
            "many_add_up", "(stock.total(), stock.names())", MANY, expected="(19, ['date', 'fig', 'nut'])"
        ),
        CallTest(
            "taken_bit_by_bit",
            "[(stock.take('fig'), stock.total(), len(stock.names()))[1:] for _ in range(6)]",
            MANY,
            expected="[(18, 3), (17, 3), (16, 3), (15, 3), (14, 3), (13, 2)]",
        ),
        CallTest("one_too_many_is_refused", "stock.take('date', 13)", MANY, raises="LookupError"),
    ),
    bugs=(
        ("self._counts.get(name, 0) + count", "count"),
        ("if count > have:", "if count > have + 1:"),
        ("return sorted(self._counts)", "return list(self._counts)"),
        ("if left == 0:", "if left < 0:"),
    ),
)

INTERVALS: Final = Problem(
    name="intervals",
    source='''"""Half-open intervals of whole numbers, as pairs (start, end)."""


def merge(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def covered(intervals):
    return sum(end - start for start, end in merge(intervals))


def gaps(intervals):
    merged = merge(intervals)
    return [(left[1], right[0]) for left, right in zip(merged, merged[1:])]
''',
    tests=(
        CallTest("overlapping_ones_are_joined", "merge([(5, 9), (1, 6)])", INTERVAL, expected="[(1, 9)]"),
        CallTest("touching_ones_are_joined", "merge([(1, 3), (3, 4)])", INTERVAL, expected="[(1, 4)]"),
        CallTest("one_inside_another_vanishes", "merge([(1, 10), (2, 3)])", INTERVAL, expected="[(1, 10)]"),
        CallTest("overlap_counts_once", "covered([(0, 4), (2, 6), (8, 9)])", INTERVAL, expected="7"),
        CallTest("gaps_lie_between", "gaps([(8, 9), (0, 4)])", INTERVAL, expected="[(4, 8)]"),
    ),
    held_out=(
        CallTest(
            "many_are_joined",
            "merge([(12, 15), (0, 5), (3, 4), (5, 7), (9, 12)])",
            INTERVAL,
            expected="[(0, 7), (9, 15)]",
        ),
        CallTest("many_cover", "covered([(20, 24), (2, 9), (3, 5), (23, 30)])", INTERVAL, expected="17"),
        CallTest(
            "many_gaps",
            "gaps([(20, 24), (2, 9), (3, 5), (11, 13)])",
            INTERVAL,
            expected="[(9, 11), (13, 20)]",
        ),
    ),
    bugs=(
        ("start <= merged[-1][1]", "start < merged[-1][1]"),
        ("max(merged[-1][1], end)", "end"),
        ("sorted(intervals)", "list(intervals)"),
        ("(left[1], right[0])", "(left[0], right[1])"),
    ),
)

ROMAN: Final = Problem(
    name="roman",
    source='''"""Roman numerals from 1 to 3999."""

VALUES = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
    (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
]


def to_roman(number):
    if not 1 <= number <= 3999:
        raise ValueError(f"{number} has no Roman numeral")
    numeral = ""
    for value, letters in VALUES:
        while number >= value:
            numeral += letters
            number -= value
    return numeral


def from_roman(numeral):
    rest, number = numeral, 0
    for value, letters in VALUES:
        while rest.startswith(letters):
            number += value
            rest = rest[len(letters):]
    if rest or to_roman(number) != numeral:
        raise ValueError(f"{numeral!r} is no Roman numeral")
    return number
''',
    tests=(
        CallTest(
            "known_numerals",
            "[to_roman(number) for number in (1, 4, 9, 14, 44, 90, 444, 1987)]",
            NUMERAL,
            expected="['I', 'IV', 'IX', 'XIV', 'XLIV', 'XC', 'CDXLIV', 'MCMLXXXVII']",
        ),
        CallTest(
            "there_and_back",
            "[number for number in range(1, 4000, 13) if from_roman(to_roman(number)) != number]",
            NUMERAL,
            expected="[]",
        ),
        CallTest("nothing_has_no_numeral", "to_roman(0)", NUMERAL, raises="ValueError"),
        CallTest("too_much_has_no_numeral", "to_roman(4000)", NUMERAL, raises="ValueError"),
        CallTest("four_equal_letters_are_refused", "from_roman('IIII')", NUMERAL, raises="ValueError"),
        CallTest("other_letters_are_refused", "from_roman('ABC')", NUMERAL, raises="ValueError"),
    ),
    held_out=(
        CallTest(
            "more_numerals",
            "[to_roman(number) for number in (3, 8, 19, 49, 96, 199, 390, 494, 949, 1999, 2776, 3888)]",
            NUMERAL,
            expected="['III', 'VIII', 'XIX', 'XLIX', 'XCVI', 'CXCIX', 'CCCXC', 'CDXCIV', 'CMXLIX', "
            "'MCMXCIX', 'MMDCCLXXVI', 'MMMDCCCLXXXVIII']",
        ),
        CallTest(
            "more_numbers",
            "[from_roman(numeral) for numeral in ('VIII', 'XIX', 'XCVI', 'CMXLIX', 'MMDCCLXXVI')]",
            NUMERAL,
            expected="[8, 19, 96, 949, 2776]",
        ),
        CallTest("a_wrong_order_is_refused", "from_roman('IIX')", NUMERAL, raises="ValueError"),
        CallTest("a_longer_spelling_is_refused", "from_roman('XXXX')", NUMERAL, raises="ValueError"),
        CallTest("small_letters_are_refused", "from_roman('i')", NUMERAL, raises="ValueError"),
    ),
    bugs=(
        ("while number >= value:", "while number > value:"),
        ('(90, "XC")', '(90, "LC")'),
        (" or to_roman(number) != numeral", ""),
        ("rest = rest[len(letters):]", "rest = rest[1:]"),
    ),
)

TEXT: Final = Problem(
    name="wrapping",
    source='''"""Plain text in lines of a limited width."""


def wrap(text, width):
    lines, line = [], ""
    for word in text.split():
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line += " " + word
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines


def justify(line, width):
    words = line.split()
    if len(words) < 2:
        return line
    spaces = width - sum(len(word) for word in words)
    share, extra = divmod(spaces, len(words) - 1)
    parts = [word + " " * (share + (place < extra)) for place, word in enumerate(words[:-1])]
    return "".join(parts) + words[-1]
''',
    tests=(
        CallTest("lines_are_filled", "wrap('a bb ccc dddd', 6)", LINE, expected="['a bb', 'ccc', 'dddd']"),
        CallTest("a_line_may_be_full", "wrap('aa bb cc', 5)", LINE, expected="['aa bb', 'cc']"),
        CallTest("a_line_is_never_wider", "wrap('aa bb', 4)", LINE, expected="['aa', 'bb']"),
        CallTest("no_words_give_no_lines", "wrap('  ', 5)", LINE, expected="[]"),
        CallTest("spaces_are_shared_from_the_left", "justify('a b c', 8)", LINE, expected="'a   b  c'"),
        CallTest("one_word_stays_as_it_is", "justify('word', 8)", LINE, expected="'word'"),
    ),
    held_out=(
        CallTest(
            "more_lines",
            "wrap('x xxx xx xxxxx xx x xxxx', 6)",
            LINE,
            expected="['x xxx', 'xx', 'xxxxx', 'xx x', 'xxxx']",
        ),
        CallTest("a_full_line", "wrap('aaa bbb ccc', 7)", LINE, expected="['aaa bbb', 'ccc']"),
        CallTest("a_narrow_line", "wrap('aaa bbb', 6)", LINE, expected="['aaa', 'bbb']"),
        CallTest("equal_spaces", "justify('ab c  def', 14)", LINE, expected="'ab    c    def'"),
        CallTest("unequal_spaces", "justify('ab c def', 13)", LINE, expected="'ab    c   def'"),
        CallTest(
            "nothing_to_share",
            "[justify(line, 4) for line in ('', 'nine', 'longer-than-that')]",
            LINE,
            expected="['', 'nine', 'longer-than-that']",
        ),
    ),
    bugs=(
        ("len(line) + 1 + len(word) <= width", "len(line) + len(word) <= width"),
        ("    if line:\n        lines.append(line)\n    return lines", "    return lines"),
        ("place < extra", "place >= extra"),
        ("if len(words) < 2:", "if not words:"),
    ),
)

PROBLEMS: Final = (INVENTORY, INTERVALS, ROMAN, TEXT)
