r"""Compare short answers as strings, numbers, lists and place names: the string-match cascade.

Policies, for whoever writes gold answers:

- Whole answers are compared, never substrings: an answer that lists many candidates matches only a gold
  list with the same items.
- Text is folded by NFKC, so full-width `４２`, circled `④②` and mathematical `𝟒𝟐` are 42. Arabic-Indic and
  other foreign digits, look-alike letters and zero-width characters are not folded and do not match.
  Superscripts and fractions are exempt from NFKC, which would make 42 of `4²`: they become `4^2` and ` 1/2`.
- Numbers are decimal literals compared exactly, up to 1,000 digits; expressions are not evaluated,
  and `1/2` is not `0.5`. A number within about 1 % of the gold number (`(1 - relative error)^2 > 0.98`)
  scores 0.98. Use another verifier where 2001 must not pass for 2000.
- A percent sign, a currency sign, a degree sign or a unit of length or mass may be left out by either
  side, but if both have one it must be the same: `42%` is `42`, never `0.42`, and `5 m` is not `5 cm`.
- A question (`Paris?`) and a word with a tilde before it (`~Paris`) are not the answer.
- An answer that the words around it deny, doubt or replace is none: `Not the final answer: Paris`;
  `Final answer: Paris`, and then `No, Rome.`
- Items of a list separated by commas, semicolons or `and` may come in any order; in parentheses or
  square brackets the order counts. `or` offers alternatives and matches only a gold that does so too.
"""

import math
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from nemo_gym.verifiers.denials import SELF
from nemo_gym.verifiers.opposition import is_opposed, is_opposed_before
from nemo_gym.verifiers.text import (
    Place,
    answer_places,
    box_beside,
    last_box,
    last_boxes,
    last_nonempty_line,
    peel_text,
    strip_reasoning,
)

__all__ = ["MAX_ANSWER", "ExtractionMode", "Match", "extract_answer", "match_strings", "normalize"]

ExtractionMode = Literal["boxed", "final_answer", "last_line", "full_response"]

MAX_ANSWER = 4_000
"""Answers longer than this many characters match only when they are equal to the character."""


@dataclass(frozen=True, slots=True)
class Match:
    """How well two answers agree: a score of 0, 0.98 or 1, and the name of the rung that decided."""

    score: float
    how: str


def match_strings(prediction: str, gold: str, *, case_sensitive: bool = False) -> Match:
    """Compare an answer with the gold answer by the first rung that holds.

    The rungs: `exact` after `normalize`, `number`, `thousands` separators, `latex`, `list`, `state` (names
    and postal codes of the United States), `unit`, and for 0.98 `close` and `close_unit`; `none` scores 0.
    An empty side scores 0 (`empty`). With `case_sensitive` only equality after stripping and NFC counts.
    """
    prediction, gold = prediction.strip(), gold.strip()
    if not prediction or not gold:
        return Match(0.0, "empty")
    if prediction == gold:
        return _EXACT
    if len(prediction) > MAX_ANSWER or len(gold) > MAX_ANSWER:
        return Match(0.0, "too_long")
    if _QUESTION.search(prediction) and not _QUESTION.search(gold):
        return Match(0.0, "none")
    if case_sensitive:
        same = unicodedata.normalize("NFC", prediction) == unicodedata.normalize("NFC", gold)
        return _EXACT if same else Match(0.0, "none")
    return _climb(normalize(prediction), normalize(gold))


def extract_answer(text: str, mode: ExtractionMode) -> str | None:
    r"""Take the answer out of a response; None where there is none. Reasoning in `<think>` never counts.

    Args:
        text: the whole response. Words around the answer that deny, doubt or replace it refuse it.
        mode: `boxed`, the last `\boxed{}`; `final_answer`, what follows the last `Answer:` or
            `Final Answer:` (its box, where it holds one), else the last box; `last_line`, the last line
            that is not blank; `full_response`, everything.
    """
    text = strip_reasoning(text)
    match mode:
        case "boxed":
            return _standing(text, _lone_box(text))
        case "final_answer":
            return _plain_end(text) or _standing(text, _last_answer(text))
        case "last_line":
            line = last_nonempty_line(text)
            start = text.rfind(line)
            return _standing(text, Place(line, start, len(text))) if line else None
        case "full_response":
            return text.strip() or None


def normalize(text: str) -> str:
    """Fold compatibility characters, case, quotes, dashes, blanks; drop outer quotes and final punctuation.

    Idempotent. A final `!` stays after anything but a word, where it may be a factorial. Text longer than
    `MAX_ANSWER` comes back as it is.
    """
    if len(text) > MAX_ANSWER:
        return text
    folded = _fold(text)
    while (again := _fold(folded)) != folded:
        folded = again
    return folded


_EXACT = Match(1.0, "exact")


def _climb(prediction: str, gold: str) -> Match:
    if prediction == gold:
        return _EXACT
    if _same(_number(prediction), _number(gold)):
        return Match(1.0, "number")
    if _same(_number(_ungroup(prediction)), _number(_ungroup(gold))):
        return Match(1.0, "thousands")
    if "~~" in prediction or "~~" in gold:  # struck out, which a `~` alone, a blank in LaTeX, is not
        return Match(0.0, "none")
    prediction, gold = _plain_latex(prediction), _plain_latex(gold)
    if _item(prediction) == _item(gold):
        return Match(1.0, "latex")
    if _lists_match(prediction, gold):
        return Match(1.0, "list")
    if _states_match(prediction, gold):
        return Match(1.0, "state")
    return _compare_quantities(prediction, gold)


def _compare_quantities(prediction: str, gold: str) -> Match:
    predicted, expected = _quantity(prediction), _quantity(gold)
    if predicted is None or expected is None:
        return Match(0.0, "none")
    (predicted_number, predicted_unit), (expected_number, expected_unit) = predicted, expected
    if predicted_unit and expected_unit and predicted_unit != expected_unit:
        return Match(0.0, "none")
    if _same(_number(predicted_number), _number(expected_number)):
        return Match(1.0, "unit")
    if _close(predicted_number, expected_number):
        return Match(0.98, "close_unit" if predicted_unit or expected_unit else "close")
    return Match(0.0, "none")


def _standing(text: str, place: Place | None) -> str | None:
    """The answer at a place of the text, unless the words around it oppose it."""
    if place is None or not place.content:
        return None
    own = place.content[:_MAX_OWN].casefold()

    def mark(piece: str) -> str:
        if own not in piece.casefold():
            return piece
        return re.sub(rf"(?<!\w){re.escape(own)}(?!\w)", SELF, piece, flags=re.IGNORECASE)

    return None if is_opposed(text, place.start, place.end, mark, is_open=True) else place.content


def _plain_end(text: str) -> str | None:
    """The answer of a last line such as `Final answer: Paris`, without other words around it. Most answers
    are of this kind, and the general rules have the same result."""
    text = text.rstrip()
    plain = _PLAIN_END.fullmatch(text, text.rfind("\n") + 1)
    return plain and plain[1]


def _peeled(box: Place | None) -> Place | None:
    return box and replace(box, content=peel_text(box.content))


def _last_answer(text: str) -> Place | None:
    """Text after the last `Answer:`, or the box in it; else the last box. `Wrong answer:` is no marker."""
    for place in reversed(answer_places(text)):
        if is_opposed_before(text, place.start, str):
            continue
        if not place.content:
            break
        box = _peeled(last_box(place.content))
        if box is None or not box.content:
            return place
        return Place(box.content, place.start + box.start, place.start + box.end)
    return _lone_box(text)


def _lone_box(text: str) -> Place | None:
    """The last box, unless a box with another content comes right before it, or a box around it has words."""
    box = _peeled(last_box(text))
    beside = box and _peeled(box_beside(text, box))
    if box is None or (beside and beside.content != box.content):
        return None
    outer = next(reversed(last_boxes(text)), box)
    around = _COMMAND.sub("", text[outer.start : box.start])
    return None if any(map(str.isalnum, around)) else box


_COMMAND = re.compile(r"\\[A-Za-z]+")


_PLAIN_END = re.compile(
    r"(?:final )?answer: ?([a-z0-9](?:[a-z0-9 .-]{0,60}[a-z0-9])?)", re.ASCII | re.IGNORECASE
)
_MAX_OWN = 200
_SPECIAL = {
    **{ord(char): f"^{digit}" for digit, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{ord(char): f"_{digit}" for digit, char in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{
        ord(char): " " + unicodedata.normalize("NFKC", char).replace("⁄", "/")
        for char in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
    },
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
    **dict.fromkeys(map(ord, "“”„«»"), '"'),
    **dict.fromkeys(map(ord, "‘’‚"), "'"),
}
_QUOTES = "\"'`"
_QUESTION = re.compile(r"[?？؟‽][\s\"'”’»)\]$*_.!]{0,8}\Z")
_PUNCTUATION = " .?,;:。✅✓✔\ufe0f"
_NUMBER = re.compile(r"([+-]?)(\d{0,1000})(?:\.(\d{0,1000}))?(?:e([+-]?\d{1,4}))?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_FLAT_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}", re.ASCII)
_LATEX_NOISE = re.compile(
    r"\\[,;:! ]|(?<=[^\s~])~(?=[^\s~])|\\(?:left|right|displaystyle|quad)(?![a-z])|\\[()\[\]]|(?<!\\)\$(?!\d)"
)
_UNIT = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<currency>\\?[$£€¥])?\s*(?P<number>[+-]?[\d.,]+(?:e[+-]?\d+)?)\s*"
    r"(?P<unit>\\?%|percent|(?:mm|cm|km|m)(?:\^?\{?[23]\}?)?|kg|mg|g|\^?\{?(?:\\circ|°)\}?|degrees?|)",
    re.ASCII,
)
_SEPARATOR = re.compile(r"\s*[,;]\s*(?:and\s+)?|\s+and\s+")
_ALTERNATIVE = re.compile(r",?\s+or\s+")
_SET_BRACES = re.compile(r"^\\?\{|\\?\}$")
_SMALL_SCRIPT = re.compile(r"([\^_])\{(\w)\}")
_BRACKETS = {"(": ")", "[": "]"}

_STATE_CODES = """
    alabama al, alaska ak, arizona az, arkansas ar, california ca, colorado co, connecticut ct,
    delaware de, district of columbia dc, florida fl, georgia ga, hawaii hi, idaho id, illinois il,
    indiana in, iowa ia, kansas ks, kentucky ky, louisiana la, maine me, maryland md, massachusetts ma,
    michigan mi, minnesota mn, mississippi ms, missouri mo, montana mt, nebraska ne, nevada nv,
    new hampshire nh, new jersey nj, new mexico nm, new york ny, north carolina nc, north dakota nd,
    ohio oh, oklahoma ok, oregon or, pennsylvania pa, rhode island ri, south carolina sc,
    south dakota sd, tennessee tn, texas tx, utah ut, vermont vt, virginia va, washington wa,
    west virginia wv, wisconsin wi, wyoming wy
"""
_STATES = {name: code for name, _, code in (pair.strip().rpartition(" ") for pair in _STATE_CODES.split(","))}
_STATE_NAME = re.compile(r"\b(?:" + "|".join(sorted(_STATES, key=len, reverse=True)) + r")\b")


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.translate(_SPECIAL)).lower()
    text = " ".join(text.translate(_SPECIAL).split())
    while (shorter := _without_ending(text)) != text:
        text = shorter
    return text


def _without_ending(text: str) -> str:
    if len(text) > 2 and text[0] == text[-1] and text[0] in _QUOTES and text[0] not in text[1:-1]:
        return text[1:-1].strip()
    spoken = text.rstrip(_PUNCTUATION + "!")
    if len(spoken) > 1 and spoken[-2:].isalpha():
        return spoken
    return text.rstrip(_PUNCTUATION) or text


def _same(one: object, other: object) -> bool:
    return one is not None and one == other


def _number(text: str) -> tuple[bool, str, int] | None:
    """Return sign, significant digits and exponent: an exact value without arithmetic on its size."""
    match = _NUMBER.fullmatch(_without_dollar(text))
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups()
    digits = whole + (fraction or "")
    if not digits:
        return None
    significant = digits.lstrip("0").rstrip("0")
    if not significant:
        return False, "", 0
    zeros = len(digits) - len(digits.rstrip("0"))
    return sign == "-", significant, int(exponent or 0) - len(fraction or "") + zeros


def _ungroup(text: str) -> str:
    bare = _without_dollar(text)
    return bare.replace(",", "") if _GROUPED.fullmatch(bare) else text


def _item(text: str) -> object:
    return _number(_ungroup(text)) or text


def _plain_latex(text: str) -> str:
    text = _FLAT_FRACTION.sub(r" \1/\2", peel_text(text.replace("{,}", ",")))
    text = _SMALL_SCRIPT.sub(r"\1\2", _LATEX_NOISE.sub(" ", text))
    text = " ".join(text.split())
    return "-" + text[2:] if text.startswith("- ") else text


def _lists_match(prediction: str, gold: str) -> bool:
    predicted, expected = _list(prediction), _list(gold)
    if predicted is None or expected is None or predicted.alternatives != expected.alternatives:
        return False
    brackets = {predicted.bracket, expected.bracket} - {""}
    if not brackets:
        return sorted(predicted.items) == sorted(expected.items)
    return len(brackets) == 1 and predicted.items == expected.items


@dataclass(frozen=True, slots=True)
class _List:
    bracket: str
    alternatives: bool
    items: list[str]


def _list(text: str) -> _List | None:
    bracket = text[:1] if len(text) > 1 and _BRACKETS.get(text[:1]) == text[-1] else ""
    inner = text[1:-1] if bracket else _SET_BRACES.sub("", text)
    choices = _ALTERNATIVE.split(inner)
    items = [item.strip() for choice in choices for item in _SEPARATOR.split(choice)]
    if len(items) < 2 or not all(items):
        return None
    return _List(bracket, len(choices) > 1, [repr(_item(item)) for item in items])


def _states_match(prediction: str, gold: str) -> bool:
    predicted, expected = (
        _STATE_NAME.sub(lambda name: _STATES[name.group()], text) for text in (prediction, gold)
    )
    if (predicted, expected) == (prediction, gold):
        return False
    spaced = [" ".join(text.replace(",", " ").split()) for text in (predicted, expected)]
    return spaced[0] == spaced[1] or _lists_match(predicted, expected)


def _close(prediction: str, gold: str) -> bool:
    if _number(prediction) is None or _number(gold) is None:
        return False
    predicted, expected = float(_without_dollar(prediction)), float(_without_dollar(gold))
    if not (math.isfinite(predicted) and math.isfinite(expected)):
        return False
    error = abs(predicted - expected) / max(abs(expected), 1e-9)
    return max(0.0, 1.0 - error) ** 2 > 0.98


def _without_dollar(text: str) -> str:
    return text.removeprefix("\\$").removeprefix("$").strip()


def _quantity(text: str) -> tuple[str, str] | None:
    match = _UNIT.fullmatch(text)
    if match is None or (match["currency"] and match["unit"]):
        return None
    number = _ungroup(match["sign"] + match["number"])
    unit = match["currency"] or match["unit"] or ""
    unit = re.sub(r"[\\^{}]", "", unit).replace("percent", "%")
    return number, "°" if unit in ("circ", "degree", "degrees") else unit
