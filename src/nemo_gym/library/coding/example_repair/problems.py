"""Small modules with tests, and ways to break each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """A module without a mistake, its tests, and edits that break it."""

    name: str
    source: str
    tests: str
    held_out: str
    """More tests, which the model does not see."""
    bugs: tuple[tuple[str, str], ...]
    """Pairs of the right text and the wrong text in its place."""

    def broken(self, bug: int) -> str:
        """The module with one of its bugs."""
        right, wrong = self.bugs[bug]
        if self.source.count(right) != 1:
            raise ValueError(f"{self.name}: {right!r} must occur once")
        return self.source.replace(right, wrong)


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
    tests="""import unittest

from inventory import Inventory


class InventoryTest(unittest.TestCase):
    def setUp(self):
        self.stock = Inventory()
        self.stock.add("pear", 3)
        self.stock.add("apple")

    def test_adding_again_adds_up(self):
        self.stock.add("pear", 2)
        self.assertEqual(self.stock.total(), 6)

    def test_taking_all_forgets_the_name(self):
        self.stock.take("pear", 3)
        self.assertEqual(self.stock.names(), ["apple"])

    def test_taking_too_many_changes_nothing(self):
        with self.assertRaises(LookupError):
            self.stock.take("apple", 2)
        self.assertEqual(self.stock.total(), 4)

    def test_names_are_sorted(self):
        self.assertEqual(self.stock.names(), ["apple", "pear"])

    def test_adding_nothing_is_refused(self):
        with self.assertRaises(ValueError):
            self.stock.add("plum", 0)
""",
    held_out="""import unittest

from inventory import Inventory


class FurtherInventoryTest(unittest.TestCase):
    def test_what_was_added_can_be_taken_bit_by_bit(self):
        stock = Inventory()
        left = {}
        for name, count in [("fig", 2), ("date", 5), ("fig", 4), ("nut", 1), ("date", 7)]:
            stock.add(name, count)
            left[name] = left.get(name, 0) + count
            self.assertEqual(stock.total(), sum(left.values()))
            self.assertEqual(stock.names(), sorted(left))
        for name in ("date", "fig", "nut"):
            while name in left:
                with self.assertRaises(LookupError):
                    stock.take(name, left[name] + 1)
                stock.take(name)
                left[name] -= 1
                if left[name] == 0:
                    del left[name]
                self.assertEqual(stock.total(), sum(left.values()))
                self.assertEqual(stock.names(), sorted(left))
""",
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
    tests="""import unittest

from intervals import covered, gaps, merge


class IntervalsTest(unittest.TestCase):
    def test_overlapping_intervals_become_one(self):
        self.assertEqual(merge([(5, 9), (1, 6)]), [(1, 9)])

    def test_touching_intervals_become_one(self):
        self.assertEqual(merge([(1, 3), (3, 4)]), [(1, 4)])

    def test_an_interval_inside_another_vanishes(self):
        self.assertEqual(merge([(1, 10), (2, 3)]), [(1, 10)])

    def test_overlap_counts_once(self):
        self.assertEqual(covered([(0, 4), (2, 6), (8, 9)]), 7)

    def test_gaps_lie_between(self):
        self.assertEqual(gaps([(8, 9), (0, 4)]), [(4, 8)])
""",
    held_out="""import random
import unittest

from intervals import covered, gaps, merge


class FurtherIntervalsTest(unittest.TestCase):
    def test_they_cover_what_their_numbers_do(self):
        random.seed(7)
        for count in range(1, 13):
            starts = [random.randrange(30) for _ in range(count)]
            intervals = [(start, start + random.randrange(1, 9)) for start in starts]
            numbers = {number for start, end in intervals for number in range(start, end)}
            whole = range(min(numbers), max(numbers) + 1)
            merged = merge(intervals)
            within = [number for start, end in merged for number in range(start, end)]
            self.assertEqual(within, sorted(numbers))
            self.assertEqual(covered(intervals), len(numbers))
            missing = [number for start, end in gaps(intervals) for number in range(start, end)]
            self.assertEqual(missing, [number for number in whole if number not in numbers])
            self.assertTrue(all(left[1] < right[0] for left, right in zip(merged, merged[1:])))
""",
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
    tests="""import unittest

from roman import from_roman, to_roman


class RomanTest(unittest.TestCase):
    def test_known_numerals(self):
        known = {1: "I", 4: "IV", 9: "IX", 14: "XIV", 44: "XLIV", 90: "XC", 444: "CDXLIV", 1987: "MCMLXXXVII"}
        for number, numeral in known.items():
            self.assertEqual(to_roman(number), numeral)

    def test_there_and_back(self):
        for number in range(1, 4000, 13):
            self.assertEqual(from_roman(to_roman(number)), number)

    def test_what_has_no_numeral_is_refused(self):
        for number in (0, 4000):
            with self.assertRaises(ValueError):
                to_roman(number)

    def test_what_is_no_numeral_is_refused(self):
        for numeral in ("IIII", "VX", "ABC", "IC"):
            with self.assertRaises(ValueError):
                from_roman(numeral)
""",
    held_out="""import unittest

from roman import from_roman, to_roman

PLACES = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]


def numeral(number):
    text = ""
    for place, digit in enumerate(f"{number:04}"):
        letters = {0: "M??", 1: "CDM", 2: "XLC", 3: "IVX"}[place]
        text += PLACES[int(digit)].translate(str.maketrans("IVX", letters))
    return text


class FurtherRomanTest(unittest.TestCase):
    def test_numerals_are_made_digit_by_digit(self):
        for number in [*range(1, 101), *range(103, 4000, 97)]:
            self.assertEqual(to_roman(number), numeral(number))
            self.assertEqual(from_roman(numeral(number)), number)

    def test_other_spellings_are_refused(self):
        for text in ("IIX", "XXXX", "CMC", "VV", "MMMM", "i", "XIIII", "IVI"):
            with self.assertRaises(ValueError):
                from_roman(text)
""",
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
    tests="""import unittest

from wrapping import justify, wrap


class WrappingTest(unittest.TestCase):
    def test_lines_are_filled(self):
        self.assertEqual(wrap("a bb ccc dddd", 6), ["a bb", "ccc", "dddd"])

    def test_a_line_may_be_exactly_as_wide(self):
        self.assertEqual(wrap("aa bb cc", 5), ["aa bb", "cc"])

    def test_a_line_is_never_wider(self):
        self.assertEqual(wrap("aa bb", 4), ["aa", "bb"])

    def test_no_words_give_no_lines(self):
        self.assertEqual(wrap("  ", 5), [])

    def test_spaces_are_shared_from_the_left(self):
        self.assertEqual(justify("a b c", 8), "a   b  c")

    def test_one_word_stays_as_it_is(self):
        self.assertEqual(justify("word", 8), "word")
""",
    held_out="""import random
import unittest

from wrapping import justify, wrap


class FurtherWrappingTest(unittest.TestCase):
    def test_lines_hold_as_many_words_as_fit(self):
        random.seed(7)
        for width in range(5, 15):
            words = ["x" * random.randrange(1, 6) for _ in range(12)]
            lines = wrap("  ".join(words), width)
            self.assertEqual(" ".join(lines).split(), words)
            self.assertTrue(all(len(line) <= width for line in lines))
            for line, following in zip(lines, lines[1:]):
                self.assertGreater(len(line) + 1 + len(following.split()[0]), width)

    def test_a_justified_line_is_exactly_as_wide(self):
        for width in range(9, 20):
            line = justify("ab c  def", width)
            self.assertEqual(len(line), width)
            self.assertEqual(line.split(), ["ab", "c", "def"])
            first, second = (len(part) for part in line.replace("ab", "|").replace("c", "|").split("|")[1:3])
            self.assertIn(first - (second - 3), (0, 1))

    def test_a_line_without_two_words_has_nothing_to_share(self):
        for line in ("", "a", "nine", "longer-than-that"):
            for width in (1, 4, 20):
                self.assertEqual(justify(line, width), line)
""",
    bugs=(
        ("len(line) + 1 + len(word) <= width", "len(line) + len(word) <= width"),
        ("    if line:\n        lines.append(line)\n    return lines", "    return lines"),
        ("place < extra", "place >= extra"),
        ("if len(words) < 2:", "if not words:"),
    ),
)

PROBLEMS: Final = (INVENTORY, INTERVALS, ROMAN, TEXT)
