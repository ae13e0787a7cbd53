"""The bugs and the tests of the tools for text."""

from __future__ import annotations

import random
from typing import Final

from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Kind, Module, Recorder
from nemo_gym.library.coding.swe_mini.repositories import texts
from nemo_gym.library.coding.swe_mini.repositories.texts import layout, names, tables, words

WORDS: Final = ("river", "stone", "cloud", "lamp", "garden", "window", "bridge", "winter", "candle", "meadow")


def some_words(rng: random.Random, count: int) -> list[str]:
    return rng.sample(WORDS, count)


def marked_words(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    return recorder.check(words.split_words, f"{first}, {second}{rng.choice('!?')} {third}.")


def capital_words(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_words(rng, 2)
    return recorder.check(words.count_words, f"{first.title()} {second} {first}")


def lone_marks(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_words(rng, 2)
    return recorder.check(words.split_words, f"{first} {rng.choice('.,;:!?')} {second}")


def opening_marks(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_words(rng, 2)
    return recorder.check(words.split_words, f"{first} ...{second}")


def repeated_words(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_words(rng, 2)
    return recorder.check(words.count_words, f"{first} {second} " + f"{first} " * rng.randint(1, 4))


def frequent_words(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    return recorder.check(words.most_frequent, f"{first} {second} {third} {second} {third} {third}", 2)


def equally_frequent(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = sorted(some_words(rng, 3), reverse=True)
    return recorder.check(words.most_frequent, f"{first} {second} {third}", rng.randint(2, 3))


def exact_lines(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    return recorder.check(layout.wrap_words, f"{first} {second} {third}", len(first) + 1 + len(second))


def narrow_lines(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    return recorder.check(layout.wrap_words, f"{first} {second} {third}", len(first) + len(second))


def one_line(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_words(rng, 2)
    return recorder.check(layout.wrap_words, f"{first}  {second}", rng.randint(20, 40))


def exact_text(rng: random.Random, recorder: Recorder) -> CallTest:
    text = " ".join(some_words(rng, 3))
    return recorder.check(layout.shorten, text, len(text))


def long_text(rng: random.Random, recorder: Recorder) -> CallTest:
    text = " ".join(some_words(rng, 3))
    return recorder.check(layout.shorten, text, rng.randint(6, len(text) - 2))


def lines_with_gap(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_words(rng, 2)
    return recorder.check(layout.indent_lines, [first, "", second], rng.randint(2, 8))


def capital_name(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(names.snake_name, "".join(word.title() for word in some_words(rng, 3)))


def long_name(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(names.camel_name, "_".join(some_words(rng, 3)))


def exact_slug(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    title = f"{first.title()}: {second}, {third}!"
    return recorder.check(names.slug, title, len(first) + 1 + len(second))


def whole_slug(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    return recorder.check(names.slug, f"{first.title()}? {second}, {third}.", rng.randint(40, 60))


def some_rows(rng: random.Random, most: int) -> list[list[str]]:
    """Rows whose first cells are short and whose last cell in the second column is long."""
    first, second, third = some_words(rng, 3)
    return [["id", first], ["a", second], [f"b{rng.randint(10, 99)}", third * most]]


def widths(rng: random.Random, recorder: Recorder) -> CallTest:
    most = rng.randint(8, 12)
    return recorder.check(tables.column_widths, some_rows(rng, most), most)


def lines_of_table(rng: random.Random, recorder: Recorder) -> CallTest:
    most = rng.randint(8, 12)
    return recorder.check(tables.format_table, some_rows(rng, most), most)


def short_row(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_words(rng, 3)
    return recorder.check(tables.column_widths, [[first, second], [third]], rng.randint(10, 20))


def rows_by_column(rng: random.Random, recorder: Recorder) -> CallTest:
    rows = [[str(9 - number), word] for number, word in enumerate(sorted(some_words(rng, 3)))]
    return recorder.check(tables.sort_rows, rng.sample(rows, 3), 1)


def rows_stay(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = sorted(some_words(rng, 2))
    rows = recorder.new("rows", list[list[str]], [[second], [first]])
    recorder.do(tables.sort_rows, rows, 0)
    return recorder.check(list, rows)


KIND: Final = Kind(
    texts,
    ("texts", "prose", "wording", "textkit"),
    (
        Module(
            words,
            (marked_words, repeated_words, equally_frequent),
            (
                Bug(
                    '.strip(".,;:!?").lower()',
                    '.strip(".,;:!?")',
                    "A word at the beginning of a sentence is counted apart from the same word elsewhere.",
                    "split_words",
                    capital_words,
                ),
                Bug(
                    "[word for word in words if word]",
                    "words",
                    "A punctuation mark that stands alone gives an empty word.",
                    "split_words",
                    lone_marks,
                ),
                Bug(
                    ".strip(",
                    ".rstrip(",
                    "Punctuation directly before a word stays a part of the word.",
                    "split_words",
                    opening_marks,
                ),
                Bug(
                    "counts.get(word, 0) + 1",
                    "counts.get(word, 1) + 1",
                    "Every word is counted once too often.",
                    "count_words",
                    repeated_words,
                ),
                Bug(
                    "(-counts[word], word)",
                    "(counts[word], word)",
                    "The most frequent words are in fact the rarest ones.",
                    "most_frequent",
                    frequent_words,
                ),
                Bug(
                    "(-counts[word], word)",
                    "-counts[word]",
                    "Words that are equally frequent come out in the order of the text.",
                    "most_frequent",
                    equally_frequent,
                ),
            ),
        ),
        Module(
            layout,
            (exact_lines, one_line, long_text, lines_with_gap),
            (
                Bug(
                    "len(line) + 1 + len(word) <= width",
                    "len(line) + 1 + len(word) < width",
                    "A word that would just fit into the line is put on the next one.",
                    "wrap_words",
                    exact_lines,
                ),
                Bug(
                    "len(line) + 1 + len(word) <= width",
                    "len(line) + len(word) <= width",
                    "Some lines are one character wider than the limit.",
                    "wrap_words",
                    narrow_lines,
                ),
                Bug(
                    "    if line:\n        lines.append(line)\n    return lines",
                    "    return lines",
                    "The end of a text is lost when it is put into lines.",
                    "wrap_words",
                    one_line,
                ),
                Bug(
                    "if len(text) <= width:",
                    "if len(text) < width:",
                    "A text that just fits is shortened.",
                    "shorten",
                    exact_text,
                ),
                Bug(
                    "text[: width - 3]",
                    "text[:width]",
                    "A shortened text is wider than it may be.",
                    "shorten",
                    long_text,
                ),
                Bug(
                    " + line if line else line for",
                    " + line for",
                    "An empty line gets spaces.",
                    "indent_lines",
                    lines_with_gap,
                ),
            ),
        ),
        Module(
            names,
            (capital_name, long_name, exact_slug, whole_slug),
            (
                Bug(
                    "character.isupper() and number > 0",
                    "character.isupper()",
                    "A name in snake style begins with an underscore.",
                    "snake_name",
                    capital_name,
                ),
                Bug(
                    "result += character.lower()",
                    "result += character",
                    "A name in snake style still has capital letters.",
                    "snake_name",
                    capital_name,
                ),
                Bug(
                    '"".join(part.capitalize()',
                    '"_".join(part.capitalize()',
                    "A name in camel style still has underscores.",
                    "camel_name",
                    long_name,
                ),
                Bug(
                    "if len(longer) > limit:",
                    "if len(longer) >= limit:",
                    "A slug leaves out a word for which there is just enough room.",
                    "slug",
                    exact_slug,
                ),
                Bug(
                    "in split_words(title):",
                    "in title.split():",
                    "A slug has capital letters and punctuation.",
                    "slug",
                    whole_slug,
                ),
            ),
            needs=("words",),
        ),
        Module(
            tables,
            (widths, lines_of_table, short_row, rows_by_column),
            (
                Bug(
                    "min(most, max(",
                    "max(most, max(",
                    "The columns of a table are wider than they have to be.",
                    "column_widths",
                    widths,
                ),
                Bug(
                    "max((len(row) for row in rows), default=0)",
                    "min((len(row) for row in rows), default=0)",
                    "A table with a short row loses columns.",
                    "column_widths",
                    short_row,
                ),
                Bug(
                    "shorten(cell, most)",
                    "shorten(cell, width)[:1]",
                    "Only the first character of a cell is in the table.",
                    "format_table",
                    lines_of_table,
                ),
                Bug(
                    "row[column])",
                    "row[0])",
                    "Rows are always sorted by their first column.",
                    "sort_rows",
                    rows_by_column,
                ),
                Bug(
                    "return sorted(rows, key=lambda row: row[column])",
                    "rows.sort(key=lambda row: row[column])\n    return rows",
                    "Sorting a table also changes the rows of the caller.",
                    "sort_rows",
                    rows_stay,
                ),
            ),
            needs=("layout",),
        ),
    ),
    {
        "split_words": ("words_of", "read_words", "word_list"),
        "most_frequent": ("top_words", "leading_words"),
        "wrap_words": ("fill_lines", "fold_text"),
        "shorten": ("clip", "truncate"),
        "snake_name": ("to_snake", "snake_style"),
        "slug": ("link_name", "short_link"),
        "format_table": ("draw_table", "table_lines"),
    },
)
