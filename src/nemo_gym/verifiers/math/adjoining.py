"""The signs, powers, units and scale words that a box is joined to."""

from __future__ import annotations

import re

from nemo_gym.verifiers.math.parse import read
from nemo_gym.verifiers.surroundings import BEFORE

MAX_TAIL = 80


def with_adjoining_signs(answer: str, before: str, text: str, end: int) -> str:
    """Return a box's content with the signs, powers, units and scale words that it is joined to."""
    if not answer:
        return ""
    sign = _SIGN_BEFORE.search(before[-BEFORE:])
    tail = _tail(answer, text[end : end + MAX_TAIL])
    return f"{sign['sign'].rstrip() if sign else ''} {answer}{tail}".strip() if sign or tail else answer


def _tail(answer: str, after: str) -> str:
    if scale := _SCALE_AFTER.match(after):
        return f" {scale['word']}"
    match = _FORMULA_AFTER.match(after)
    if match is None:
        return ""
    tail = match["tail"].rstrip()
    if tail[:1].isdigit():
        return f" {tail}"
    if match["text"] and not read(answer + tail) and not _HEDGE.search(tail):
        return ""
    return tail


_SIGN_BEFORE = re.compile(
    r"(?P<sign>(?:(?:^|(?<=[\s$({\[=]))[-−](?!\s)|(?<=[$=])\s?[-−]|[\d}]\s?[+*/]|[A-Za-z\d]\s[<>]|\d"
    r"|(?:[A-Za-z]\s?)?(?:[\^≤≥×·÷]"
    r"|\\(?:cdot|times|div|pm|mp|le|ge|leq|geq|leqslant|geqslant|lt|gt|sim|sqrt|ln|log|sin|cos|tan)(?![A-Za-z])))"
    r"\s?)\{?\Z"
)
_SCALE_AFTER = re.compile(
    r"[ \t$\\)\]*_]{0,8}(?P<word>hundred|thousand|million|billion|trillion|dozen|lakh|crore"
    r"|per\s?cent)s?\b",
    re.IGNORECASE,
)
_FORMULA_AFTER = re.compile(
    r"(?P<tail>(?:[ \t]|\\[,;: ]|~)*"
    r"(?:\\?%|(?:[\^!°]|_(?=[{\dA-Za-z])|[+*/<>×·÷≤≥](?=\s?(?:[\d\\(]|[A-Za-z](?![A-Za-z])))|[-−](?=\s?[\d\\(])|\d"
    r"|\\(?:(?:cdot|times|div|pm|mp|sqrt|pi|d?frac|circ|leq?|geq?|lt|gt)(?![A-Za-z]))"
    r"|(?P<text>\\(?:text|mathrm|textrm|mbox)\s?\{))[^$=\n]*?(?=\Z|[$=\n]|\\[)\]]|[.,;?]\s|[.,;]\Z)))"
)
_HEDGE = re.compile(
    r"\b(?:or|not|maybe|perhaps|possibly|wrong|incorrect|false|impossible|guess|if|unless|otherwise|else)\b|\?",
    re.IGNORECASE,
)
