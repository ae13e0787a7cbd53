"""The units of a text that instructions count: words, tokens, sentences, paragraphs. All in linear time."""

from __future__ import annotations

import re
import string
from typing import Final

PUNCTUATION: Final = string.punctuation
EDGES: Final = PUNCTUATION + " "
"""What is stripped from the edges of a word."""
_NO_PUNCTUATION: Final = str.maketrans("", "", PUNCTUATION)


def listed(text: str) -> tuple[str, ...]:
    """The words of a list that is written as one text."""
    return tuple(text.split())


def without_punctuation(text: str) -> str:
    """The text without ASCII punctuation."""
    return text.translate(_NO_PUNCTUATION)


def plain_words(text: str) -> list[str]:
    """The words between blanks, in lower case and without ASCII punctuation."""
    return without_punctuation(text.lower()).split()


def word_runs(text: str) -> list[str]:
    r"""The runs of letters, digits and `_`."""
    return _RUN.findall(text)


def tokens(text: str) -> list[str]:
    """Words and punctuation marks, as a tokeniser of newspaper English splits them.

    `n't`, `'s` and the like are tokens of their own, and a point that ends an abbreviation is part of it.
    """
    return [match[0] for match in _TOKEN.finditer(text)]


def sentences(text: str) -> list[str]:
    """Sentences that end at each point, question mark or exclamation mark, also without a blank after it.

    Points of titles, initials, acronyms, web addresses and numbers end no sentence. A closing double quote
    is moved before the mark. Text after the last mark is a sentence too.
    """
    text = f" {text}  ".replace("\n", " ").replace(".”", "”.")
    for mark in ".!?":
        text = text.replace(f'{mark}"', f'"{mark}')
    parts: list[str] = []
    start = 0
    for match in _MARK.finditer(text):
        if match[0] != "." or _ends_sentence(text, match.start()):
            parts.append(text[start : match.end()].strip())
            start = match.end()
    rest = text[start:].strip()
    return [*parts, rest] if rest else parts


def count_sentences(text: str) -> int:
    """The number of sentences, where a mark ends one only before a blank, and abbreviations end none."""
    text = text.strip()
    count = 1 if text else 0
    for match in _STOP.finditer(text):
        count += _breaks(text, match)
    return count


def blocks(text: str) -> list[str]:
    """The paragraphs between blank lines, without the empty ones."""
    return [part for part in text.split("\n\n") if part.strip()]


def filled_lines(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line for line in text.split("\n") if line.strip()]


def count_text(text: str, part: str) -> int:
    """How often a part occurs in the text without overlap; case is ignored."""
    return text.lower().count(part.lower())


def has_word(text: str, word: str) -> bool:
    """Whether a word or phrase occurs with no letter, digit or `_` right beside it; case is ignored."""
    text, word = text.lower(), word.lower()
    at = text.find(word)
    while at >= 0:
        if _is_edge(text, at) and _is_edge(text, at + len(word)):
            return True
        at = text.find(word, at + 1)
    return False


_RUN = re.compile(r"\w+")
_CLITIC = r"'(?:[sSmMdD]|ll|LL|re|RE|ve|VE)(?![\w'])"
_TOKEN = re.compile(
    rf"""
      \.{{2,}} | -{{2,}}
    | [nN]'[tT](?!\w)
    | {_CLITIC}
    | (?:[^\W\d_]\.){{2,}}
    | (?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Inc|Ltd|Co|Corp|vs|etc|No)\.(?=\s+\S)
    | \d+(?:[.,:]\d+)+
    | \w(?:(?![nN]'[tT](?!\w))(?!{_CLITIC})(?:\w|[-/'.*_](?=\w))){{0,200}}
    | [^\w\s]
    """,
    re.VERBOSE,
)
_MARK = re.compile(r"\.{2,}|[.?!]")
_STOP = re.compile(r"(?<![.?!])([.?!]++)[\"')\]}”’*_]*+\s++(?=\S)")
_TITLES = ("Mr", "St", "Mrs", "Ms", "Dr")
_SITES = ("com", "net", "org", "io", "gov", "edu", "me")
_SUFFIXES = (" Inc", " Ltd", " Jr", " Sr", " Co")
_STARTERS = tuple(
    [f" {word}" for word in ("Mr", "Mrs", "Ms", "Dr", "Prof", "Capt", "Cpt", "Lt", "Wherever")]
    + [
        f" {word} "
        for word in ("He", "She", "It", "They", "Their", "Our", "We", "But", "However", "That", "This")
    ]
)
_ABBREVIATIONS = frozenset(
    listed(
        """
    mr mrs ms dr prof st jr sr inc ltd co corp vs rev gen sen rep gov capt lt col sgt hon e.g i.e u.s
    u.k u.n a.m p.m jan feb aug sept oct nov dec mt ft ave cf dept est ph.d
    """
    )
)
_CLOSERS = frozenset(["jr", "sr", "inc", "ltd", "co", "corp", "u.s", "u.k", "u.n", "a.m", "p.m"])
"""Abbreviations that may also end a sentence."""
_OPENERS = frozenset(
    listed(
        """
    the a an he she it they we i you this that these those but and in on at there when if as his her its
    their our my however so then for with after before while what why how who where
    """
    )
)


def _ends_sentence(text: str, at: int) -> bool:
    """Whether the point at this place ends a sentence; blanks are around the text."""
    before, after = text[max(0, at - 5) : at], text[at + 1 : at + 12]
    if (
        before.endswith(_TITLES)
        or after.startswith(_SITES)
        or (before[-1:].isdigit() and after[:1].isdigit())
    ):
        return False
    if before.endswith("Ph.D") or (before.endswith("Ph") and after.startswith("D.")):
        return False
    if before.endswith(_SUFFIXES):
        return after.startswith(_STARTERS)
    letter = _is_ascii_letter(before[-1:])
    if letter and before[-2:-1] == ".":
        is_acronym = _is_ascii_letter(before[-3:-2])
        return not is_acronym or (before[-1:].isupper() and after.startswith(_STARTERS))
    is_initial = letter and before[-2:-1].isspace()
    begins_acronym = letter and _is_ascii_letter(after[:1]) and after[1:2] == "."
    return not (is_initial or begins_acronym)


def _breaks(text: str, match: re.Match[str]) -> bool:
    if match[1].strip("."):
        return True
    following = _RUN.match(text, match.end())
    opener = following is not None and following[0].lower() in _OPENERS and following[0][0].isupper()
    if len(match[1]) > 1:
        return opener
    start = match.start()
    word = text[
        max(text.rfind(" ", max(0, start - 20), start), text.rfind("\n", max(0, start - 20), start))
        + 1 : start
    ]
    word = word.strip("\"'([{“‘").lower()
    if word in _ABBREVIATIONS:
        return word in _CLOSERS and opener
    if len(word) == 1 and word.isalpha():
        return opener
    return True


def _is_ascii_letter(letter: str) -> bool:
    return letter.isascii() and letter.isalpha()


def _is_edge(text: str, at: int) -> bool:
    r"""Whether `\b` holds at this place."""
    left = at > 0 and _is_word(text[at - 1])
    right = at < len(text) and _is_word(text[at])
    return left != right


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
