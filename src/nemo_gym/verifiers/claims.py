"""What a text in plain English claims: one value and no other, without denying or hedging it.

Words are all that is looked at, so a text may be refused that a person would accept; what is accepted names
the value and says nothing against it.
"""

import re
from collections.abc import Iterable

__all__ = ["claims_only", "denies", "negates"]


def denies(text: str) -> bool:
    """Whether a text calls something wrong, excluded or doubtful, in words or with a cross."""
    return _DENIAL.search(text) is not None


def negates(text: str) -> bool:
    """Whether a text has a word that reverses what stands beside it, such as `not`, `never` or `except`."""
    return _NEGATION.search(text) is not None


def claims_only(text: str, value: str, rivals: Iterable[str] = ()) -> bool:
    """Whether a text says a value in whole words, and neither another one nor anything against it.

    Args:
        text: of any length; more than 5,000 characters claim nothing.
        value: one word or several; case and the width of blanks don't count.
        rivals: the other values there are. A rival that is part of the value does not count inside it.

    A denial anywhere in the text refuses it. A negation or a hedge (`maybe`, `or`) refuses it in a sentence
    that names the value, or where it is a whole sentence (`Or not.`).
    """
    if len(text) > _MAX_TEXT:
        return False
    folded = _BLANKS.sub(" ", text.casefold())
    wanted = _whole(value)
    rest = wanted.sub(_PLACE, folded)
    if _PLACE not in rest or denies(rest) or any(_whole(rival).search(rest) for rival in rivals if rival):
        return False
    sentences = _SENTENCE.split(rest)
    return not any(_TURN.fullmatch(sentence.strip()) for sentence in sentences) and not any(
        negates(sentence) or _HEDGE.search(sentence) for sentence in sentences if _PLACE in sentence
    )


_MAX_TEXT = 5_000
_PLACE = "\ufffc"
_BLANKS = re.compile(r"[^\S\n]+")
_SENTENCE = re.compile(r"[.!?;](?=\s|$)|\n")
_DENIAL = re.compile(
    r"""
    \b(?: wrong(?:ly)? | incorrect(?:ly)? | inaccurate | false(?:ly)? | untrue | mistaken(?:ly)? | mistakes?
        | erroneous(?:ly)? | error | invalid | impossible | implausible | improbable | unlikely
        | inappropriate | unsuitable | ineligible | irrelevant | misleading | nonsense
        | bogus | fake | lie | lies | lying
        | eliminat\w* | exclud\w* | reject\w* | discard\w* | dismiss\w* | disprov\w* | refus\w*
        | refut\w* | retract\w* | disagree\w* | den(?:y|ies|ied|ying) | contradict\w* | avoid\w*
        | doubt\w* | oppos\w* | contrary
        | trap | distractor | decoy | red\ herring | joke | joking | kidding | worst | fail(?:s|ed)?
        | rul(?:e|es|ed|ing)\ (?:it\ |that\ |this\ )?out | cross(?:ed)?\ out | struck\ out
        | (?:is|are|be|goes)\ out
        | least\ (?:likely|plausible|probable|suitable|correct|appropriate)
    )\b
    | [≠¬✗✘✖❌❎🚫⛔👎] | ~~
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NEGATION = re.compile(
    r"""
    \b(?: not | no | never | neither | nor | none | nothing | nobody | cannot | cant | isnt | nope | nah | non
        | without | except\w* | besides | unlike | hardly | barely | scarcely | seldom | rarely
        | (?:other|rather|different)\ (?:than|from) | instead\ of | opposed\ to
        | (?:apart|aside|far|away)\ from
        | (?:all|any\w*|every\w*)\ (?:\w+\ )?(?:but|save)
    )\b
    | n['’]t\b | !=
    """,
    re.IGNORECASE | re.VERBOSE,
)
_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|might|could|may|either|or|guess\w*|unsure|uncertain|unclear|if|whether|unless)\b"
)
_TURN = re.compile(
    r"(?:(?:or|but|and|actually|well|wait|though|maybe|perhaps|possibly)\W+){0,3}"
    r"(?:not|no|nope|nah|maybe|perhaps|possibly)(?:\W+(?:really|quite|so|true|at all|it|that))?"
    r"|(?:(?:or|but|and|actually|well|wait)\W+){0,3}(?:that|it|this|which)(?:['’]s| is| was|)"
    r"\W*(?:not|n['’]t)\W+(?:true|so|right|correct|it|the case|the answer|what .{0,60})"
    r"|(?:that|it|this) (?:isn|wasn)['’]t .{0,60}"
)


def _whole(value: str) -> re.Pattern[str]:
    words = r"\s+".join(map(re.escape, value.casefold().split()))
    return re.compile(rf"(?<!\w){words}(?!\w)")
