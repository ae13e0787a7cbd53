"""Reads the answer that a model's text commits to, in a canonical form. It is bounded and runs no code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from nemo_gym.verifiers.answer_context import (
    BEFORE,
    alternative_after,
    denied_before,
    depends_between,
    joint_of,
    taken_back_after,
)
from nemo_gym.verifiers.denials import denies, negates
from nemo_gym.verifiers.exact import extract_answer, match_strings
from nemo_gym.verifiers.text import last_boxes, last_nonempty_line, peel_text, strip_reasoning

MAX_ANSWER = 600
"""How many characters at the end of a text are read."""
MAX_LABEL = 3
"""The most letters beside a grid, as a label of it; more letters are a sentence."""


def extract(text: str, read: Callable[[str], str | None]) -> str | None:
    r"""The canonical form of the answer in a final text, or None.

    The answer is read from the last `<answer>` tag, or else the last `\boxed{}`, or else the whole text
    without its reasoning. It must fill that place, or follow a clear marker at its end: `=`, `:`, `is`, `are`
    or `equals`, without words before it that deny or doubt it. Only one candidate counts, so a list of
    guesses earns nothing. A tag or box does not count when the words around it deny, doubt or withdraw it.
    """
    text = strip_reasoning(text)
    place = _place(text)
    if place is None or _is_enumeration(place, read):
        return None
    values = [value for candidate in _candidates(place, read) if (value := read(candidate)) is not None]
    if not values or (place != text and _claims_others(place, values[0], read)):
        return None
    return values[0]


def answer_place(text: str) -> str | None:
    r"""The content of the last `<answer>` tag or `\boxed{}` of a final text, or else the whole text.

    None when the words around the tag or the box deny, doubt or withdraw it.
    """
    return _place(strip_reasoning(text))


def plain_answer(text: str) -> str:
    r"""The text of the answer in a final text, for rows whose answer is only a text.

    It is the content of the last `<answer>` tag, or else of the last `\boxed{}`, or else the text after the
    last `Answer:` or `answer is`, or else the last line. It is empty when the words around it deny, doubt or
    withdraw it.
    """
    text = strip_reasoning(text)
    place = _place(text)
    if place is None:
        return ""
    if place != text:
        return _after_marker(place)
    answer = extract_answer(text, "final_answer")
    if answer:
        before = text[: text.rfind(answer)]
        return "" if denied_before(_MARKER_AT_END.sub("", before)) else answer.strip("*_` ")
    return _after_marker(last_nonempty_line(text))


def same_text(given: str, answer: str) -> bool:
    """Whether two answers are the same apart from notation and punctuation; close numbers are not the same.

    A question mark after an answer, or a tilde before it, makes it a different answer.
    """
    same_marks = _marks(given) == _marks(answer)
    return same_marks and match_strings(given, answer).score == 1.0


def number(text: str) -> str | None:
    """An integer, with or without thousands separators: `-1,204.` reads as `-1204`."""
    match = _NUMBER.fullmatch(_tidy(text).replace("−", "-"))
    return str(int(match[1].replace(",", ""))) if match else None


def numbers(text: str) -> str | None:
    """Two or more integers with commas or spaces between them: `[3, 1]` reads as `3 1`."""
    tokens = _tokens(text.replace("−", "-"))
    if len(tokens) < 2 or not all(_INTEGER.fullmatch(token) for token in tokens):
        return None
    return " ".join(str(int(token)) for token in tokens)


def numeral(text: str) -> str | None:
    """Digits in a base up to 16, in lower case, without prefix and leading zeros: `0x0F` reads as `f`."""
    match = _NUMERAL.fullmatch(_tidy(text).lower())
    return (match[1].lstrip("0") or "0") if match else None


def word(text: str) -> str | None:
    """One word of the letters a to z, in lower case."""
    text = _tidy(text).lower()
    return text if _WORD.fullmatch(text) else None


def words(text: str) -> str | None:
    """Words with commas or spaces between them: `Pear, plum.` reads as `pear plum`."""
    tokens = [token.strip(_QUOTES) for token in _tokens(text.lower())]
    if not tokens or not all(_WORD.fullmatch(token) and token not in _MARKER_WORDS for token in tokens):
        return None
    return " ".join(tokens)


def names(text: str) -> str | None:
    """Names in any order: `Bob and Ann` reads as `ann bob`."""
    tokens = set((words(text) or "").split())
    return " ".join(sorted(tokens - {"and"})) or None


def truth(text: str) -> str | None:
    """`true` or `false`; `yes` and `no` mean the same."""
    return _TRUTHS.get(_tidy(text).lower())


def time_of_day(text: str) -> str | None:
    """A time on the 24-hour clock: `7:05` reads as `07:05`."""
    match = _TIME.fullmatch(_tidy(text))
    return f"{int(match[1]):02}:{match[2]}" if match and int(match[1]) < 24 else None


def expression(text: str) -> str | None:
    """The tokens of an expression of whole numbers, `+ - * /` and brackets; `= result` may follow it."""
    body = text.strip().strip('`$ .*"').translate(_OPERATORS)
    body = body.replace("\\times", "*").replace("\\cdot", "*").replace("\\div", "/")
    body, equals, result = body.partition("=")
    if equals and number(result) is None:
        return None
    if not _EXPRESSION.fullmatch(body) or not any(sign in body for sign in "+-*/"):
        return None
    return " ".join(_EXPRESSION_TOKEN.findall(body))


def grid(text: str) -> str | None:
    """Digits with any separators: the rows of a grid read as one text of digits."""
    digits = "".join(text.translate(_GRID_LINES).split())
    return digits if digits.isascii() and digits.isdigit() else None


def assignment(text: str) -> str | None:
    """Letters with values, in order: `B: 2, A = 1` reads as `A=1 B=2`. No letter may have two values."""
    pairs_text = " ".join(text.replace(":", "=").split()).replace(" =", "=").replace("= ", "=")
    pairs = [_PAIR.fullmatch(token.strip(_CLOSING)) for token in _tokens(pairs_text)]
    values = {pair[1].upper(): pair[2].lower() for pair in pairs if pair}
    if not pairs or len(values) < len(pairs):
        return None
    return " ".join(f"{letter}={values[letter]}" for letter in sorted(values))


def route(text: str) -> str | None:
    """Single letters in order: `A -> B, C` reads as `A B C`."""
    for arrow in ("->", "→", "-", ">"):
        text = text.replace(arrow, " ")
    tokens = _tokens(text)
    letters = [token.upper() for token in tokens if len(token) == 1 and token.isascii() and token.isalpha()]
    return " ".join(letters) if len(letters) == len(tokens) >= 2 else None


_QUOTES = "*_$`\"'“”‘’()[]{}"
_OPENING = _QUOTES + " \t\r\n,;:"
_CLOSING = _OPENING + ".!"
_MARKER = re.compile(r"=|(?<!\d):|\b(?:is|are|equals)\b", re.IGNORECASE)
_MAX_CLAUSE = 80
_CLAUSE_END = re.compile(r"\n|[.!?;]\s")
_PIECE_END = re.compile(r"[,;]")
_COMPARISON = re.compile(r"[<>!/≠≥≤~≈]\s*=\s*\Z|[<>≠≥≤]\s*\Z")
_DOUBT = re.compile(
    r"\b(?:maybe|perhaps|possibly|might|could|guess\w*|unsure|uncertain|unclear|unless|whether|one\sof|others?|fools?"
    r"|at\s(?:least|most)|(?:more|less|fewer|greater|larger|smaller)\sthan)\b|\bn\so\st\b",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(r"\b(?:or|either|if)\b", re.IGNORECASE)
_GRID_LABEL = re.compile(r"^\s*[A-Za-z]\s?[:.)]", re.MULTILINE)
_TRUTH_ALTERNATIVE = re.compile(
    r"\bor\s(?:it|the\sanswer|that|this|maybe)\b|,\s?or\W*\Z|\b(?:either|if)\b", re.IGNORECASE
)
_LABEL = re.compile(r"[\s*_>-]*(?:[A-Za-z]|\d{1,2})\s?[:.)]\s|[\s]*[-*•]\s")
_TRUTH = re.compile(r"\b(?:True|False)\b")
_REVERSAL = re.compile(
    r"\b(?:is|are|was|be|it|answer|equals?|certainly|definitely|surely)\s+(?:\w+\s+){0,2}(?:not|never)\b|n['’]t\b"
    r"|\b(?:anything|everything|all|any\s\w+)\s+(?:but|except)\b|\b(?:other|rather)\s+than\b|\binstead\s+of\b",
    re.IGNORECASE,
)
"""Words near True or False that deny an answer; `not` alone may be an operator there."""
_TAG, _TAG_END = "<answer>", "</answer>"
_ANSWER_IS = re.compile(r"\banswer\s+is\b:?\s*", re.IGNORECASE)
_MARKER_AT_END = re.compile(r"(?:final\s)?answer[*_ ]{0,4}:[*_ ]{0,4}\Z", re.IGNORECASE)
_MARKER_WORDS = frozenset({"is", "are", "equals", "answer"})
_NUMBER = re.compile(r"([-+]?(?:\d{1,3}(?:,\d{3}){1,8}|\d{1,30}))(?:\.0{1,9})?")
_INTEGER = re.compile(r"[-+]?\d{1,30}")
_NUMERAL = re.compile(r"(?:0[box](?=.))?([0-9a-f]{1,40})")
_WORD = re.compile(r"[a-z]{1,60}")
_TIME = re.compile(r"([0-9]{1,2}):([0-5][0-9])")
_EXPRESSION = re.compile(r"[0-9+\-*/() ]{3,200}")
_EXPRESSION_TOKEN = re.compile(r"[0-9]+|[-+*/()]")
_PAIR = re.compile(r"([A-Za-z])=([a-z]{1,20}|[0-9])", re.IGNORECASE | re.ASCII)
_OPERATORS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")"})
_GRID_LINES = str.maketrans(dict.fromkeys('|,;[]()-+`*."', " "))
_TRUTHS = {"true": "true", "yes": "true", "false": "false", "no": "false"}


def _place(text: str) -> str | None:
    """The content of the last tag and of the last box in it, or else the whole text; None where the words
    around it say that it is not the answer."""
    end = text.rfind(_TAG_END)
    start = text.rfind(_TAG, 0, end) if end >= 0 else -1
    if start >= 0:
        previous = text.rfind(_TAG_END, 0, start)
        between = text[previous + len(_TAG_END) : start] if previous >= 0 else None
        inside = text[start + len(_TAG) : end].strip()
        before = text[text.rfind(_TAG, 0, max(previous, 0)) + len(_TAG) : max(previous, 0)].strip()
        if between is not None and joint_of("", between) and inside != before:
            return None
        if denied_before(text[max(0, start - BEFORE) : start]) or _weakened_after(text, end + len(_TAG_END)):
            return None
        text = inside
    boxes = last_boxes(text)
    if not boxes:
        return None if "\\boxed" in text else text
    last = boxes[-1]
    if len(boxes) > 1 and boxes[-2].content != last.content:
        before, between = text[: boxes[-2].start], text[boxes[-2].end : last.start]
        if joint_of(before[-BEFORE:], between):
            return None
    if denied_before(text[max(0, last.start - BEFORE) : last.start]) or _weakened_after(text, last.end):
        return None
    return last.content


def _weakened_after(text: str, end: int) -> bool:
    return taken_back_after(text, end) or alternative_after(text, end)


def _candidates(place: str, read: Callable[[str], str | None]) -> Iterator[str]:
    place = peel_text(place) if len(place) <= MAX_ANSWER else place.rstrip()
    tail = place[-MAX_ANSWER:]
    if len(place) <= MAX_ANSWER:
        yield place
    start = 0
    for marker in _MARKER.finditer(tail):
        clause = _CLAUSE_END.split(tail[max(0, marker.start() - _MAX_CLAUSE) : marker.end()])[-1]
        rest = tail[marker.end() :]
        if not (_denied(clause, read) or _contradicts(tail[start : marker.start()], rest, read)):
            yield rest
        start = marker.end()


def _denied(clause: str, read: Callable[[str], str | None]) -> bool:
    """Whether the words before an answer deny or doubt it; `not True` may be part of an expression."""
    if _COMPARISON.search(clause) or _DOUBT.search(clause):
        return True
    if read is truth and _TRUTH.search(clause):
        return (_REVERSAL.search(clause) or _TRUTH_ALTERNATIVE.search(clause)) is not None
    hedge = _ALTERNATIVE.search(_PIECE_END.split(clause.rstrip(" :="))[-1])
    return hedge is not None or denies(clause) or negates(clause)


def _claims_others(place: str, value: str, read: Callable[[str], str | None]) -> bool:
    """Whether another sentence of a tag or box says another answer."""
    if read is grid or read(place) is not None:
        return False
    sentences = _CLAUSE_END.split(place[-MAX_ANSWER:])[:-1]
    claims = (
        read(part) for sentence in sentences for part in _candidates(sentence, read) if part != sentence
    )
    return any(claim not in (None, value) for claim in claims)


def _contradicts(before: str, rest: str, read: Callable[[str], str | None]) -> bool:
    """Whether the text before a marker is a different answer: `7 = 8`."""
    if read is grid:
        digits, expected = "".join(filter(str.isdecimal, before)), read(rest) or ""
        return (
            len(digits) == len(expected) and digits != expected and sum(map(str.isalpha, before)) <= MAX_LABEL
        )
    if read not in (number, numbers, time_of_day, expression, truth, route):
        return False
    answer = read(_CLAUSE_END.split(before)[-1].strip())
    return answer is not None and answer != read(rest)


def _is_enumeration(place: str, read: Callable[[str], str | None]) -> bool:
    """Whether the last two lines are different answers after labels such as `A:`."""
    if read is grid:
        return len(_GRID_LABEL.findall(place[-MAX_ANSWER:])) > 1
    lines = [line for line in place[-MAX_ANSWER:].splitlines() if line.strip()][-2:]
    labels = [_LABEL.match(line) for line in lines]
    if len(lines) < 2 or not all(labels):
        return False
    values = {read(line[label.end() :]) for line, label in zip(lines, labels, strict=True) if label}
    return len(values) > 1 and None not in values


def _after_marker(line: str) -> str:
    """The end of a line after `answer is`, or else the whole line; empty when the words before it deny or
    doubt it."""
    line = line.strip("*_` ")
    marks = list(_ANSWER_IS.finditer(line))
    if not marks:
        return line
    if denied_before(line[: marks[-1].start()]) or (
        len(marks) > 1 and depends_between(line[marks[-2].end() : marks[-1].start()])
    ):
        return ""
    return line[marks[-1].end() :].strip("*_` ")


def _marks(answer: str) -> tuple[bool, bool]:
    """Whether there is a question mark after an answer, and a tilde before it."""
    return answer.rstrip(_QUOTES + " .").endswith("?"), answer.lstrip(_QUOTES + " ").startswith("~")


def _tidy(text: str) -> str:
    return text.lstrip(_OPENING).rstrip(_CLOSING)


def _tokens(text: str) -> list[str]:
    return _tidy(text).replace(",", " ").replace(";", " ").split()
