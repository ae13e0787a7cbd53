"""Checks of the words around a number, a formula or a box for a denial, a doubt or an alternative.

They are patterns for mathematical text. `opposition` reads the clauses of prose, for options and free text.
"""

from __future__ import annotations

import re

from nemo_gym.verifiers.denials import word_set

BEFORE = 120
"""The most characters before an answer that are read."""
AFTER = 300
FAR_AFTER = 8_000
"""The most characters that are read for a sentence that withdraws any answer: `I take that back.`"""
MAX_TAIL = 80


def denied_before(text: str) -> bool:
    """Whether the clause that ends a text denies, doubts or strikes out what comes next."""
    clause = text[-BEFORE:]
    if _TRIGGERS.isdisjoint(_WORD.findall(clause.lower())) and not any(map(clause.__contains__, _SIGNS)):
        return False
    match = _DENIAL.search(clause)
    return match is not None and not (_EXCEPTION.match(match[0]) and _NOTHING.search(clause[: match.start()]))


def taken_back_after(text: str, end: int) -> bool:
    """Whether what follows a position calls the answer before it wrong, or replaces it."""
    after = text[end : end + AFTER]
    return (
        _QUESTION.match(after) is not None
        or _RETRACTION.search(after) is not None
        or _WITHDRAWAL.search(text[end:][-FAR_AFTER:]) is not None
    )


def alternative_after(text: str, end: int) -> bool:
    """Whether an `or` or a doubt comes right after a position, as in `5, or 6` and `5 (maybe)`."""
    return _OR.match(text, end) is not None


def depends_between(text: str) -> bool:
    """Whether the words between two answers make them alternatives, or each the answer of one case."""
    return _DEPENDENCE.search(text) is not None


def joint_of(before: str, between: str) -> str | None:
    """Return how two boxes are joined: by "or" or ","; None where the second replaces the first.

    Args:
        before: the text before the first box.
        between: the text between the two.
    """
    if match := _JOINT.fullmatch(between[:200]):
        return "or" if match["word"].lower().startswith("or") else ","
    if (
        len(between) <= MAX_TAIL
        and not _CONCLUSION.search(between)
        and (match := _JOINT_AT_END.search(between))
    ):
        return "or" if match["word"].lower() in ("or", "\\lor", "\\vee") else ","
    if len(between) <= MAX_TAIL and (_ALTERNATIVE.search(between) or _ASIDE.fullmatch(between)):
        return "," if not _CONCLUSION.search(between) else None
    if len(between) > 2 * MAX_TAIL or _CONCLUSION.search(between):
        return None
    if _LABEL.search(between) and _LABEL.search(before[-MAX_TAIL:]):
        return ","
    return None


_FILLER = (
    r"(?:\s+(?:i|we|you|it|this|that|there|the|a|an|my|our|its?|think|believe|say|claim|sure|true|certain|case|[a-z]\s?(?:=|is|equals)"
    r"|answer|value|result|solution|number|total|sum|final|right|correct|is|are|was|be|been|equals?|to|could|can|would"
    r"|possibly|really|actually|simply|just|likely|necessarily|exactly|of|as|=)){0,10}"
)
_DENIAL = re.compile(
    r"(?:(?:\bnot|n['’]t|\bnever|\bcannot|\bneither|\bnor|\bdoubt(?:ful)?|\bunlikely|\bimpossible|\bfalse|\buntrue"
    r"|\b(?:any|every)thing\s(?:but|except)|\b(?:other|rather)\sthan|\binstead\sof|\bexcept(?:\sfor)?"
    rf"|\b(?<!no\s)(?<!not\s)(?:more|less|fewer|greater|larger|smaller)\sthan){_FILLER}"
    r"|(?:\bmaybe|\bperhaps|\bpossibly)(?:\s(?:just|simply|is|it['’]?s?|that|the|answer)){0,4}"
    r"|(?:\bguess(?:es|ing)?|(?:^|[.!?,]\s?|\n)\bis\sit|\beither|\b(?:might|could|may)(?:\salso)?\sbe)"
    r"(?:\s(?:just|simply|is|it['’]?s?|that)){0,2}"
    r"|\b(?:wrong|incorrect|mistaken|rejected|worst)(?:\s(?:answer|value|result|solution|guess))?(?:\s(?:is|was|would\sbe))?"
    r"|\\neq?|\\lnot|\\neg|\\not=?|≠|¬|~~|<(?:s|del|strike)>|\\(?:sout|st|[bx]?cancel)\s?\{)"
    r"[\s$*_\\(\[:,]{0,20}$",
    re.IGNORECASE,
)
_OR = re.compile(r"[\s$*_,;)(\]}\\]{0,12}(?:or|maybe|perhaps|possibly)\b", re.IGNORECASE)
_EXCEPTION = re.compile(r"other\sthan|except", re.IGNORECASE)
_NOTHING = re.compile(r"\b(?:no|none|nothing|nobody|never|not)\b[^.!?]*\Z", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+")
_TRIGGERS = word_set(
    """
    not t never cannot neither nor doubt doubtful unlikely impossible false untrue anything everything than
    instead except maybe perhaps possibly guess guesses guessing it either might could may wrong incorrect
    mistaken rejected worst
    """
)
_SIGNS = ("\\ne", "\\lnot", "\\not", "≠", "¬", "~~", "<s>", "<del>", "<strike>", "\\sout", "\\st", "cancel")
"""A text denies nothing if it has none of these words and signs."""
_QUESTION = re.compile(r"[\s$*_)\]\\]{0,12}\?")
_TURN = r"(?:\b(?:wait|hmm+|no|nope|actually|well|but|sorry|oops|so)\b\W{1,4}){0,3}"
_VERDICT = (
    r"(?:(?:\b(?:is|was|would\sbe|must\sbe|seems|looks)\s)?"
    r"(?:(?:the|a|an|just|only|merely|clearly|probably|obviously)\s){0,2}"
    r"(?:wrong|incorrect|untrue|mistaken|mistake|impossible|guess)\b"
    r"|(?:\b(?:is|was|does|do|can|could)(?:n['’]t|\snot)|\bcannot|\bcan['’]t)\s"
    r"(?:be\s|seem\s|look\s|really\s|actually\s)?(?:the\s|a\s)?"
    r"(?:right|correct|true|answer|solution|it\b|so\b|possible|valid|final)"
    r"|\bnot\s(?:the\s|a\s)?(?:right|correct|true|valid|possible|answer))(?!\s?(?:to|for)\b)"
)
_PRONOUN = (
    r"(?:that|this|it|the\s(?:above|answer|box|boxed\sanswer|value|result)|my\sanswer|which)(?:['’]s)?\s"
)
_RETRACTION = re.compile(
    r"\A[\s$*_)\]}\\(.,;:!—–-]{0,12}" + _TURN + r"(?:text\s?\{\s?)?"
    rf"(?:(?:{_PRONOUN})?{_VERDICT}|(?:no|nope)\s?[.!,]|\(?(?:i(?:['’]m|\sam)\s)?(?:unsure|not\ssure|just\sguessing)\b)"
    rf"|[.!?\n]\s{{0,4}}{_TURN}{_PRONOUN}{_VERDICT}\s?(?:[.!]|\Z|\n|,\s)"
    r"|(?:\A|[.!?;,:)\]}$*~—–\n-])\s{0,4}" + _TURN + r"(?:(?:scratch|forget|ignore|disregard|strike)\s"
    r"(?:that|this|it|the)\b"
    r"|(?:(?:wait|actually|or\srather|correction|i\smean|make\sthat)\b[\s,:—–-]{1,4}"
    r"|(?:no|nope|rather|alternatively)\s?[,:—–-]\s?)"
    r"(?:it['’]?\s?i?s\s|the\sanswer\sis\s|maybe\s|rather\s|or\s)?[$\\({\[]{0,3}-?\d)",
    re.IGNORECASE,
)
_KNOW = (
    r"(?:i\s)?(?:(?:really|honestly|still|actually|simply|just)\s)?(?:do\snot|don['’]t|cannot|can['’]t)\s(?:really\s)?"
    r"(?:know|tell|say|be\s(?:sure|certain))|(?:i\s(?:really\s)?have\s)?no\s(?:idea|clue)|who\sknows"
)
_WITHDRAWAL = re.compile(
    r"(?:\A|[.!?;,:)\]}$*~—–\n-])\s{0,4}" + _TURN + r"(?:"
    r"(?:i\s|i['’]ll\s|let\sme\s)?(?:(?:must|hereby|now|have\sto|want\sto)\s)?"
    r"(?:(?:take|taking|took)\s(?:that|it|this|everything|my\sanswer)\sback"
    r"|(?:withdraw|retract)\s(?:that|it|this|everything|my\sanswer|the\sanswer))\b"
    r"|(?:on\s)?second\sthoughts?\b|i(?:['’]ve|\shave)?\s(?:just\s)?(?:changed?\smy\smind|made\s(?:that|this|it)\sup)\b"
    r"|scratch\s(?:that|this|it)\b|my\sanswer\s(?:above\s)?(?:is|was)\s(?:wrong|incorrect|false|a\sguess)\b"
    rf"|(?:{_KNOW})(?:\s(?:it|for\ssure|(?:what\s)?(?:the|my)\s(?:(?:right|correct|final)\s)?(?:answer|result|value)))?"
    r"(?:\sis)?\s?(?:[.!…?;]|\Z|\n))",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r"[\s$*_.,~\\()\[\]]{0,40}(?:\\(?:text|mathrm|textrm)\s?\{)?[\s~]{0,10}"
    r"(?P<word>or(?: else| maybe| possibly| perhaps)?|and|[,;/&]|)[\s~]{0,10}\}?"
    r"(?:\\q?quad|[\s$*_.,;~\\()\[\]]){0,40}",
    re.IGNORECASE,
)
_JOINT_AT_END = re.compile(
    r"\A[^.!?\n]*?(?P<word>(?<![A-Za-z])(?:or|and|then|to|as well as|along with)|[,;/&]|\\lor|\\vee|\\l?dots)"
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
_DEPENDENCE = re.compile(r"\b(?:if|or|else|otherwise|unless|either)\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"[\s$.,;]*\([^()\n]{1,40}\)[\s$.,;]*|[^\n]{0,40}?\b(?:alternatively|otherwise|else)\b[\s:,$\\(\[]*",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:^|\n)[\s>]*(?:[-*•]|\(?(?:[A-Za-z]|\d{1,2}|[ivx]{1,4})[).:])[\s$*_\\([]*\Z"
    r"|\b(?:case|option|possibility|part|candidate|choice|alternative|attempt|solution|answer|guess)\b"
    r"\s?\(?(?:[A-Za-z]|\d{1,2}|[ivx]{1,4})\)?\s?[:=.-][\s$*_\\([]*\Z"
    r"|\b(?:guess|candidate|option|possibility|alternative)\b\s?[:=-][\s$*_\\([]*\Z"
    rf"|{_CONDITION}",
    re.IGNORECASE,
)
