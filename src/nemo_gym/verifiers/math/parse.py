"""Parses answer text to trees, one for each possible reading."""

from __future__ import annotations

import re
from functools import lru_cache

from nemo_gym.verifiers.math import modular, scan
from nemo_gym.verifiers.math.brackets import with_note_apart, without_comma_before_note
from nemo_gym.verifiers.math.clean import clean
from nemo_gym.verifiers.math.grammar import Parser
from nemo_gym.verifiers.math.tree import Clock, Listing, Modular, Node, Noted, Relation, Unreadable, Words
from nemo_gym.verifiers.math.wording import meaning_of, words_node


def read(text: str) -> tuple[Node, ...]:
    """Return the readings of an answer: two when a comma may group digits or separate items, else one.

    Text that can't be read within the bounds has none.
    """
    try:
        return _read(clean(text))
    except Unreadable:
        return ()


@lru_cache(maxsize=64)
def _read(cleaned: str) -> tuple[Node, ...]:
    time = _clock(cleaned)
    if time is not None:
        return (time,)
    if node := meaning_of(cleaned):
        return (node,)
    if parts := modular.split(cleaned):
        answers, moduli = map(_read, parts)
        return tuple(Modular(answer, moduli[0]) for answer in answers) if moduli else ()
    if scan.is_prose(cleaned):
        return (words_node(cleaned),)
    readings: list[Node] = []
    for thousands in (True, False) if "," in cleaned else (True,):
        try:
            tokens = scan.tokenize(cleaned, thousands=thousands)
            if not thousands and any(map(_is_group_of_digits, tokens)):
                continue
            node = _answer(tokens)
        except Unreadable:
            continue
        if node not in readings:
            readings.append(node)
    return tuple(readings)


def _is_group_of_digits(token: scan.Token) -> bool:
    """Whether digits such as 000 or 050 can only follow a thousands separator."""
    return token.kind == "number" and len(token.text) == 3 and token.text[0] == "0" and token.text.isdigit()


def _answer(tokens: list[scan.Token]) -> Node:
    """Read all tokens as one item or a list, and what follows as notes on where it holds."""
    parser = Parser(without_comma_before_note(with_note_apart(tokens)))
    items, joint = parser.items(lambda token: token.kind == "end" or token.text == "where")
    if not items:
        raise Unreadable("nothing there")
    if joint in (",", "and"):
        items = _complete(items)
    notes: list[Node] = []
    if parser.at("where"):
        parser.advance()
        notes, between = parser.items(lambda token: token.kind == "end")
        notes = _complete([note for note in notes if not _is_universal(note)])
        if between not in (",", "and") or not all(map(_is_note, notes)):
            raise Unreadable("no condition behind an answer")
    elif joint == "," and not _is_note(items[0]):
        first = next((at for at, item in enumerate(items) if _is_note(item)), len(items))
        items, notes = items[:first], _complete(items[first:])
        if not all(map(_is_note, notes)):
            raise Unreadable("an answer behind a condition")
    node = items[0] if len(items) == 1 else Listing(tuple(items), joint)
    return Noted(node, tuple(notes)) if notes else node


def _is_note(node: Node) -> bool:
    return isinstance(node, Relation) and "=" not in node.operators and "~" not in node.operators


def _complete(notes: list[Node]) -> list[Node]:
    """Return `x != 1, 2` as `x != 1, x != 2`."""
    whole: list[Node] = []
    for note in notes:
        last = whole[-1] if whole else None
        if not isinstance(note, Relation) and isinstance(last, Relation) and last.operators == ("!=",):
            note = Relation((last.sides[0], note), ("!=",))
        whole.append(note)
    return whole


def _is_universal(note: Node) -> bool:
    """Whether a note only says "for all x"."""
    return isinstance(note, Words) and _UNIVERSAL.fullmatch(note.text) is not None


def _clock(text: str) -> Clock | None:
    """Read a time of day such as 3:15, 3 pm or 15:30:00."""
    plain = _TEXT_COMMAND.sub(r" \1 ", text).strip()
    if plain.casefold() in _NAMED_TIMES:
        return _NAMED_TIMES[plain.casefold()]
    match = _TIME.fullmatch(plain)
    if match is None or not (match["minute"] or match["half"]):
        return None
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    half = f"{match['half'].lower()}m" if match["half"] else ""
    in_range = hour <= (12 if half else 24) and minute < 60 and second < 60 and (hour or not half)
    return Clock(hour, minute, second, half) if in_range else None


_NAMED_TIMES = {
    "noon": Clock(12, 0, 0, "pm"),
    "12 noon": Clock(12, 0, 0, "pm"),
    "midnight": Clock(12, 0, 0, "am"),
    "12 midnight": Clock(12, 0, 0, "am"),
}
_UNIVERSAL = re.compile(r"(?:all|any|every)(?: real)?(?: numbers?| values of)? [a-z]")
_TEXT_COMMAND = re.compile(r"\\(?:text|textrm|mathrm|mbox)\s*\{([^{}]*)\}")
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?:\s*:\s*(?P<minute>\d\d)(?:\s*:\s*(?P<second>\d\d))?)?"
    r"(?:\s*(?P<half>[apAP])\.?\s?[mM]\.?)?"
)
