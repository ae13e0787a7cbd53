"""Instructions that each belong to one question, such as a list in a special order."""

from __future__ import annotations

import csv
import io
import re
import unicodedata

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import EDGES, filled_lines, listed, sentences, without_punctuation


@instruction("custom:multiples")
def multiples(text: str) -> bool:
    """The multiples of 7 between 10 and 50."""
    return _DIGITS.findall(text) == ["14", "21", "28", "35", "42", "49"]


@instruction("custom:mcq_count_length")
def mcq_count_length(text: str) -> bool:
    """Four questions with five options each; each question is longer than the one before."""
    if not text.startswith("Question"):
        return False
    questions = [part.strip() for part in _QUESTION.split(text) if part.strip()]
    lengths: list[int] = []
    for question in questions[:5]:
        lines = [line.strip() for line in question.split("\n")]
        marked = [_OPTION.match(line) is not None for line in lines]
        if sum(marked) != 5:
            return False
        lengths.append(len(" ".join(lines[: marked.index(True)]).strip()))
    return len(questions) == 4 and lengths == sorted(set(lengths))


@instruction("custom:reverse_newline")
def reverse_newline(text: str) -> bool:
    """From the line with Zimbabwe on, at least 52 lines in reverse alphabetical order."""
    lines = [line for raw in text.split("\n") if (line := raw.strip(EDGES))]
    start = next((n for n, line in enumerate(lines) if "Zimbabwe" in line), len(lines))
    names = [_ascii(line) for line in lines[start:]]
    return len(names) >= 52 and names == sorted(names, reverse=True)


@instruction("custom:word_reverse")
def word_reverse(text: str) -> bool:
    """One sentence about the bald eagle, with its words in reverse order."""
    words = " ".join(without_punctuation(text.lower()).split()[::-1])
    return "bald eagle" in words and words in sentences(words)


@instruction("custom:character_reverse")
def character_reverse(text: str) -> bool:
    return "bald eagle"[::-1] in text.lower()


@instruction("custom:european_capitals_sort")
def european_capitals_sort(text: str) -> bool:
    """The capitals north of 45 degrees from north to south, with commas between."""
    return tuple(name.strip() for name in _ascii(text).split(",") if name.strip()) == _CAPITALS


@instruction("custom:csv_city")
def csv_city(text: str) -> bool:
    rows = _rows(text)
    return (
        len(rows) == 8
        and rows[0] == ["ID", "Country", "City", "Year", "Count"]
        and all(len(row) == 5 for row in rows)
    )


@instruction("custom:csv_special_character")
def csv_special_character(text: str) -> bool:
    """14 products, and a field in double quotation marks with a special character."""
    rows = _rows(text)
    header = [name.strip(' \t"') for name in text.split("\n", 1)[0].split(",")]
    return (
        header == ["ProductID", "Category", "Brand", "Price", "Stock"]
        and len(rows) == 15
        and all(len(row) == 5 for row in rows)
        and any('"' in line and _SPECIAL.search(line) is not None for line in text.split("\n")[1:])
    )


@instruction("custom:csv_quotes")
def csv_quotes(text: str) -> bool:
    """Three students, tabs between the fields, and each field in double quotation marks."""
    rows = [[field.strip(" ") for field in line.split("\t")] for line in filled_lines(text)]
    return (
        len(rows) == 4
        and [field.strip('"') for field in rows[0]] == _STUDENT
        and all(len(row) == 5 for row in rows)
        and all(len(field) > 1 and field[0] == field[-1] == '"' for row in rows for field in row)
    )


@instruction("custom:date_format_list")
def date_format_list(text: str) -> bool:
    """Dates of the years 1769 to 1821 with commas between."""
    return all(_is_date(date.strip()) for date in text.strip().split(","))


_DIGITS = re.compile(r"\d+")
_QUESTION = re.compile(r"Question \d{1,9}[.|):;]?")
_OPTION = re.compile(r"[A-Ea-e][.|)]\s*\w")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_SPECIAL = re.compile(r"[^\d\w\s\",]")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_STUDENT = ["StudentID", "Subject", "Grade", "Semester", "Score"]
_CAPITALS = listed(
    """
    Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin
    Amsterdam Warsaw London Brussels Prague Luxembourg Paris Vienna Bratislava Budapest Vaduz Chisinau
    Bern Ljubljana Zagreb
    """
)


def _rows(text: str) -> list[list[str]]:
    """The rows of CSV; a field that is too large is an error, and an error is no answer."""
    try:
        return list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise ValueError(error) from None


def _ascii(text: str) -> str:
    """The text without accents and other signs outside ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(part) for part in match.groups())
    return 1769 <= year <= 1821 and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]
