"""Signs, powers, units, scale words and other answers directly beside a boxed answer."""

from __future__ import annotations

import re

from nemo_gym.verifiers.math.compare import same
from nemo_gym.verifiers.math.evaluate import Budget, Exhausted
from nemo_gym.verifiers.math.parse import read

MAX_TAIL = 80
MAX_SIGN = 16


def with_adjoining_signs(answer: str, before: str, text: str, end: int) -> str:
    """Return a box's content with the signs, powers, units and scale words that it is joined to."""
    if not answer:
        return ""
    close = before[-MAX_SIGN:]
    touched = "\\" in close or close.rstrip("{ $")[-1:] in _LAST_OF_SIGN
    sign = _SIGN_BEFORE.search(close) if touched else None
    tail = _tail(answer, text[end : end + MAX_TAIL])
    return f"{sign['sign'].rstrip() if sign else ''} {answer}{tail}".strip() if sign or tail else answer


def has_rival(answer: str, before: str) -> bool:
    r"""Whether a different answer comes before a box, as in `41 or \boxed{42}`."""
    match = None
    if "or" in before or "OR" in before or "\\vee" in before:
        match = _OR_BEFORE.search(before)
    elif before.rstrip(" $").endswith(","):
        match = _LIST_BEFORE.search(before)
    return match is not None and not _is_same(answer, match["rival"])


def repeats(answer: str, text: str) -> bool:
    """Whether a text begins with the same answer in another form."""
    match = _OPERAND.match(text)
    return match is not None and _is_same(answer, match[0])


def _is_same(answer: str, rival: str) -> bool:
    try:
        return any(same(a, b, Budget()) for a in read(answer) for b in read(rival.strip(" $.,;()")))
    except (Exhausted, RecursionError):
        return False


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


_OR_BEFORE = re.compile(
    r"(?<![-\w.\\{}^/=()])(?P<rival>\$[^$\n]{1,60}\$|[-\w.\\{}^/=()]{0,60}[\d})])\s*,?\s*(?:\bor\b|\\lor|\\vee)"
    r"\s*(?:maybe|possibly|perhaps)?\s*\(?(?:[a-z]\s*=)?[\s$\\(\[{]*\Z",
    re.IGNORECASE,
)
_LIST_BEFORE = re.compile(r"(?:\A|\n|:)[\s$]*(?P<rival>-?\d[\d\s$,.]*),[\s$]*\Z")
_OPERAND = re.compile(r"\s?(?:\$[^$\n]{1,60}\$|[-\w.\\{}^/=()%]{1,60})")
_LAST_OF_SIGN = frozenset("-−+*/^<>≤≥×·÷0123456789")
_SIGN_BEFORE = re.compile(
    r"(?P<sign>(?:(?:^|(?<=[\s$({\[=]))[-−](?!\s)|(?<=[$=])\s?[-−]|[\d}]\s?[+*/]|[A-Za-z\d]\s[<>]"
    r"|(?:[A-Za-z]\s?)?(?:[\^≤≥×·÷]"
    r"|\\(?:cdot|times|div|pm|mp|le|ge|leq|geq|leqslant|geqslant|lt|gt|sim|sqrt|ln|log|sin|cos|tan)(?![A-Za-z])))"
    r"\s?|\d)\{?\Z"
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
