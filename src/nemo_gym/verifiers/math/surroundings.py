"""What the words and signs around a box make of its content."""

from __future__ import annotations

import re

from nemo_gym.verifiers.math.parse import read

BEFORE = 120
"""Characters before a box or marker that are looked at."""
AFTER = 300
MAX_TAIL = 80


def denied_before(text: str) -> bool:
    """Whether the clause that ends a text denies, doubts or strikes out what comes next."""
    return _DENIAL.search(text[-BEFORE:]) is not None


def taken_back_after(text: str, end: int) -> bool:
    """Whether what follows a position calls the answer before it wrong, or replaces it."""
    after = text[end : end + AFTER]
    return _QUESTION.match(after) is not None or _RETRACTION.search(after) is not None


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


def joint_of(before: str, between: str) -> str | None:
    """Return how two boxes are joined: by "or" or ","; None where the second replaces the first.

    `before` is what stands before the first box, `between` what stands between the two.
    """
    if match := _JOINT.fullmatch(between[:200]):
        return "or" if match["word"].lower().startswith("or") else ","
    if (
        len(between) <= MAX_TAIL
        and not _CONCLUSION.search(between)
        and (match := _JOINT_AT_END.search(between))
    ):
        return "or" if match["word"].lower() in ("or", "\\lor", "\\vee") else ","
    if len(between) <= MAX_TAIL and _ALTERNATIVE.search(between):
        return ","
    if len(between) <= 2 * MAX_TAIL and _LABEL.search(between) and _LABEL.search(before[-MAX_TAIL:]):
        return ","
    return None


_FILLER = (
    r"(?:\s+(?:i|we|you|it|this|that|there|the|a|an|my|our|its?|think|believe|say|claim|sure|true|certain|case|x|n|y"
    r"|answer|value|result|solution|number|total|sum|final|right|correct|is|are|was|be|been|equals?|to|could|can|would"
    r"|possibly|really|actually|simply|just|likely|necessarily|exactly|of|as)){0,10}"
)
_DENIAL = re.compile(
    r"(?:(?:\bnot|n['’]t|\bnever|\bcannot|\bneither|\bnor|\bdoubt(?:ful)?|\bunlikely|\bimpossible|\bfalse|\buntrue"
    r"|\b(?:any|every)thing\s(?:but|except)|\b(?:other|rather)\sthan|\binstead\sof|\bexcept(?:\sfor)?"
    rf"|\b(?<!no\s)(?<!not\s)(?:more|less|fewer|greater|larger|smaller)\sthan){_FILLER}"
    r"|(?:\bmaybe|\bperhaps|\bpossibly|\bguess(?:es|ing)?|\bis\sit|\beither|\b(?:might|could|may)(?:\salso)?\sbe)"
    r"(?:\s(?:just|simply|is|it['’]?s?|that)){0,2}"
    r"|\b(?:wrong|incorrect|mistaken|rejected)(?:\s(?:answer|value|result|solution|guess))?(?:\s(?:is|was|would\sbe))?"
    r"|\\neq?|\\lnot|\\neg|\\not=?|≠|¬|~~|<(?:s|del|strike)>|\\(?:sout|st|[bx]?cancel)\s?\{)"
    r"[\s$*_\\(\[:,]{0,20}$",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[\s$*_)\]\\]{0,12}\?")
_TURN = r"(?:\b(?:wait|hmm+|no|nope|actually|well|but|sorry|oops|so)\b\W{1,4}){0,3}"
_RETRACTION = re.compile(
    r"(?:\A|[.!?;,:)\]}$*~—–\n-])\s{0,4}" + _TURN + r"(?:\\text\s?\{\s?)?"
    r"(?:"
    r"(?:(?:which|that|this|it|the\s(?:above|answer|box|boxed\sanswer|value|result)|my\sanswer)['’]?(?:s|\s)?|)\s?"
    r"(?:(?:\b(?:is|was|would\sbe|must\sbe|seems|looks)\s)?(?:\w+\s){0,2}"
    r"(?:wrong|incorrect|untrue|mistaken|a\smistake|impossible|(?:only|just|merely)\sa\sguess)\b"
    r"|(?:\b(?:is|was|does|do|can|could)(?:n['’]t|\snot)|\bcannot|\bcan['’]t)\s(?:be\s|seem\s|look\s|really\s|actually\s)?"
    r"(?:the\s|a\s)?(?:right|correct|true|answer|solution|it\b|so\b|possible|valid|final)(?!\s?(?:to|for)\b))"
    r"|(?:scratch|forget|ignore|disregard|strike)\s(?:that|this|it|the)\b"
    r"|(?:no|nope|wait|actually|rather|or\srather|correction|possibly|alternatively|i\smean|make\sthat)\b[\s,:—–-]{1,4}"
    r"(?:it['’]?\s?i?s\s|the\sanswer\sis\s|maybe\s|rather\s|or\s)?[$\\({\[]{0,3}-?\d"
    r"|\(?(?:or|maybe|perhaps|possibly)\s[$\\({\[]{0,3}-?\d"
    r"|\(?(?:wrong|incorrect|unsure|not\ssure|just\sguessing|a\sguess)\s?[).!]"
    r")",
    re.IGNORECASE,
)
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
_JOINT = re.compile(
    r"[\s$*_.,~\\()\[\]]{0,40}(?:\\(?:text|mathrm|textrm)\s?\{)?[\s~]{0,10}"
    r"(?P<word>or(?: else| maybe| possibly| perhaps)?|and|[,;/&]|)[\s~]{0,10}\}?"
    r"(?:\\q?quad|[\s$*_.,;~\\()\[\]]){0,40}",
    re.IGNORECASE,
)
_JOINT_AT_END = re.compile(
    r"\A[^.!?\n]*?(?P<word>(?<![A-Za-z])(?:or|and|then|to)|[,;/&]|\\lor|\\vee|\\l?dots)"
    r"(?:\s|\$|\\(?:text|mathrm)\s?\{|\})*(?:[A-Za-z]\w{0,3}(?:_\{?\w{1,3}\}?)?\s?=)?[\s$~\\([{}]*\Z",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"\b(?:wait|no|not|actually|so|thus|hence|therefore|sorry|correction|scratch|instead|but|giv(?:es|ing)|which)\b",
    re.IGNORECASE,
)
_CONDITION = (
    r"\b(?:if|when|in case|for (?:even|odd|positive|negative|the (?:case|other)|some|[a-z]\b|\$))"
    r"[^.!?\n]{0,40}?[\s$*_\\([:,]*\Z"
)
_ALTERNATIVE = re.compile(r"\A[\s$*_;,)]*(?:and |but |or |while )?" + _CONDITION, re.IGNORECASE)
_LABEL = re.compile(
    r"(?:^|\n)[\s>]*(?:[-*•]|\(?(?:[A-Za-z]|\d{1,2}|[ivx]{1,4})[).:])[\s$*_\\([]*\Z"
    r"|\b(?:case|option|possibility|part|guess|candidate|choice|alternative|attempt|solution|answer)\b"
    r"\s?(?:\(?(?:[A-Za-z]|\d{1,2}|[ivx]{1,4})\)?)?\s?[:=.-][\s$*_\\([]*\Z"
    rf"|{_CONDITION}",
    re.IGNORECASE,
)
