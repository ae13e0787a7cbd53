"""From model text to the canonical form of the one answer it commits to. Bounded, and nothing is run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from nemo_gym.verifiers.claims import denies, negates
from nemo_gym.verifiers.exact import extract_answer, match_strings
from nemo_gym.verifiers.text import last_boxed, last_nonempty_line, last_tagged, peel_text, strip_reasoning

MAX_ANSWER = 600
"""Characters at the end of a text that are looked at."""


def extract(text: str, read: Callable[[str], str | None]) -> str | None:
    r"""The canonical form of the answer in a final text, or None.

    The answer is looked for in the last `<answer>` tag, else in the last `\boxed{}`, else in the whole text
    without its reasoning. It must fill that place, or fill its end after a clear marker: `=`, `:`, `is`,
    `are` or `equals`, without a denial before it. Only one candidate is ever handed on, so listing guesses
    earns nothing.
    """
    text = strip_reasoning(text)
    tagged = last_tagged(text, "answer")
    place = text if tagged is None else tagged
    boxed = last_boxed(place)
    if boxed is not None:
        place = boxed
    elif tagged is None and "\\boxed" in text:
        return None
    for candidate in _candidates(place):
        value = read(candidate)
        if value is not None:
            return value
    return None


def plain_answer(text: str) -> str:
    r"""The answer in a final text as it stands, for rows whose answer is known only as text.

    It is what fills the last `<answer>` tag, else the last `\boxed{}`, else what follows the last `Answer:`,
    else the last line.
    """
    text = strip_reasoning(text)
    tagged = last_tagged(text, "answer")
    answer = (
        tagged if tagged is not None else extract_answer(text, "final_answer") or last_nonempty_line(text)
    )
    boxed = last_boxed(answer)
    return answer if boxed is None else boxed


def same_text(given: str, answer: str) -> bool:
    """Whether two answers agree up to notation and punctuation; numbers that are only close do not."""
    return match_strings(given, answer).score == 1.0


def number(text: str) -> str | None:
    """An integer, with or without thousands separators: `-1,204.` reads as `-1204`."""
    found = _NUMBER.fullmatch(_tidy(text).replace("−", "-"))
    return str(int(found[1].replace(",", ""))) if found else None


def numbers(text: str) -> str | None:
    """Two or more integers, separated by commas or spaces: `[3, 1]` reads as `3 1`."""
    tokens = _tokens(text.replace("−", "-"))
    if len(tokens) < 2 or not all(_INTEGER.fullmatch(token) for token in tokens):
        return None
    return " ".join(str(int(token)) for token in tokens)


def numeral(text: str) -> str | None:
    """Digits in a base up to 16, in lower case, without prefix and leading zeros: `0x0F` reads as `f`."""
    found = _NUMERAL.fullmatch(_tidy(text).lower())
    return (found[1].lstrip("0") or "0") if found else None


def word(text: str) -> str | None:
    """One word of the letters a to z, in lower case."""
    text = _tidy(text).lower()
    return text if _WORD.fullmatch(text) else None


def words(text: str) -> str | None:
    """Words separated by commas or spaces: `Pear, plum.` reads as `pear plum`."""
    tokens = [token.strip(_QUOTES) for token in _tokens(text.lower())]
    if not tokens or not all(_WORD.fullmatch(token) and token not in _MARKER_WORDS for token in tokens):
        return None
    return " ".join(tokens)


def names(text: str) -> str | None:
    """Names in any order: `Bob and Ann` reads as `ann bob`."""
    listed = words(text)
    return " ".join(sorted(set(listed.split()) - {"and"})) or None if listed else None


def truth(text: str) -> str | None:
    """`true` or `false`; `yes` and `no` are taken for them."""
    return _TRUTHS.get(_tidy(text).lower())


def time_of_day(text: str) -> str | None:
    """A time on the 24-hour clock: `7:05` reads as `07:05`."""
    found = _TIME.fullmatch(_tidy(text))
    return f"{int(found[1]):02}:{found[2]}" if found and int(found[1]) < 24 else None


def expression(text: str) -> str | None:
    """Tokens of an expression in whole numbers, `+ - * /` and brackets; `= result` may follow it."""
    body = text.strip().strip("`$ .").translate(_OPERATORS)
    body = body.replace("\\times", "*").replace("\\cdot", "*").replace("\\div", "/")
    body, equals, result = body.partition("=")
    if equals and number(result) is None:
        return None
    if not _EXPRESSION.fullmatch(body) or not any(sign in body for sign in "+-*/"):
        return None
    return " ".join(_EXPRESSION_TOKEN.findall(body))


def grid(text: str) -> str | None:
    """Digits, whatever separates them: rows of a grid read as one run of digits."""
    digits = "".join(text.translate(_GRID_LINES).split())
    return digits if digits.isascii() and digits.isdigit() else None


def assignment(text: str) -> str | None:
    """Letters with values, by letter: `B: 2, A = 1` reads as `A=1 B=2`. A letter given twice is no answer."""
    joined = " ".join(text.replace(":", "=").split()).replace(" =", "=").replace("= ", "=")
    pairs = [_PAIR.fullmatch(token.strip(_CLOSING)) for token in _tokens(joined)]
    found = {pair[1].upper(): pair[2].lower() for pair in pairs if pair}
    if not pairs or len(found) < len(pairs):
        return None
    return " ".join(f"{letter}={found[letter]}" for letter in sorted(found))


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
_TRUTH = re.compile(r"\b(?:True|False)\b")
_REVERSAL = re.compile(
    r"\b(?:is|are|was|be|it|answer|equals?|certainly|definitely|surely)\s+(?:\w+\s+){0,2}(?:not|never)\b|n['’]t\b"
    r"|\b(?:anything|everything|all|any\s\w+)\s+(?:but|except)\b|\b(?:other|rather)\s+than\b|\binstead\s+of\b",
    re.IGNORECASE,
)
"""Words after True or False that deny an answer, where `not` alone may be an operator."""
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
_GRID_LINES = str.maketrans(dict.fromkeys("|,;[]()-+`*.", " "))
_TRUTHS = {"true": "true", "yes": "true", "false": "false", "no": "false"}


def _candidates(place: str) -> Iterator[str]:
    place = peel_text(place) if len(place) <= MAX_ANSWER else place.rstrip()
    tail = place[-MAX_ANSWER:]
    if len(place) <= MAX_ANSWER:
        yield place
    for marker in _MARKER.finditer(tail):
        clause = _CLAUSE_END.split(tail[max(0, marker.start() - _MAX_CLAUSE) : marker.end()])[-1]
        if not _denied(clause):
            yield tail[marker.end() :]


def _denied(clause: str) -> bool:
    """Whether the words before an answer make of it what the answer is not; `not True` is no denial."""
    if _TRUTH.search(clause):
        return _REVERSAL.search(clause) is not None
    return denies(clause) or negates(clause)


def _tidy(text: str) -> str:
    return text.lstrip(_OPENING).rstrip(_CLOSING)


def _tokens(text: str) -> list[str]:
    return _tidy(text).replace(",", " ").replace(";", " ").split()
