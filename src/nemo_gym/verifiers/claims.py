"""The claim of a text in plain English: one value and no other, without a denial or a hedge.

The check looks at words only. So it may refuse a text that a person would accept, but a text that it accepts
names the value and says nothing against it.
"""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

import re2

from nemo_gym.verifiers.denials import (
    AGAINST_THE_WHOLE,
    SELF,
    denies,
    negates,
    readable,
    takes_back,
    word_set,
    words_of,
)
from nemo_gym.verifiers.opposition import is_opposed
from nemo_gym.verifiers.text import is_reordered

__all__ = ["claimed_number", "claims_only"]


def claims_only(text: str, value: str, rivals: Collection[str] = ()) -> bool:
    """Whether a text says a value in whole words, and neither another one nor anything against it.

    Args:
        text: of any length; more than 5,000 characters claim nothing.
        value: one word or several; case and the width of blanks don't count.
        rivals: the other possible values. A rival that is part of the value does not count inside it.

    The text must state the value: the word before it is `is`, `says`, a colon or one of a few similar words,
    or there is none. After `seems`, `was` or `almost` the value is not stated. A denial anywhere in the text
    refuses it, and so do words that take it back (`scratch that`). A negation, a hedge (`maybe`, `or`), a
    wish (`would`), hearsay (`they say`) or a question refuses it in a sentence that names the value, or as a
    whole sentence (`Or not.`). Letters that are not English refuse it, because they can hide words.
    """
    if len(text) > _MAX_TEXT or is_reordered(text):
        return False
    if text.isascii() and _ends_with_it(text.lower(), value.casefold(), rivals):
        return True
    text = readable(text)
    if value.isascii() and not text.isascii() and re.search(_FOREIGN, text):
        return False
    lines = (" ".join(line.split()) for line in text.replace(_PLACE, "").casefold().splitlines())
    rest = _with_places("\n".join(filter(None, lines)), value)
    if _PLACE not in rest or denies(rest) or takes_back(rest) or _says_any(rest, rivals):
        return False
    place = rest.rindex(_PLACE)
    return not any(map(_speaks_against, re.split(_SENTENCE, rest))) and not is_opposed(
        rest, place, place + 1, str
    )


def claimed_number(text: str) -> str | None:
    """The only number that a text claims: `5` in `The sum is 5.`; None where it claims none or several.

    A number is written in digits, with a sign, a point or commas between thousands, and comes back without
    the commas. The left side of a sum or product is no claim: `2 + 3 = 5` claims 5. Two different numbers, a
    bound or estimate (`at least 5`), and whatever `claims_only` refuses (a denial, a hedge, a question) claim
    nothing.
    """
    if len(text) > _MAX_TEXT:
        return None
    answer = re.sub(_EQUALS, " is ", re.sub(_LEFT_SIDE, " ", re.sub(_TAG, " ", readable(text))))
    words = {
        word.strip(_AROUND).rstrip(".") for word in re.split(_BETWEEN, answer) if re.search(_DIGIT, word)
    }
    number = words.pop() if len(words) == 1 else ""
    if not re.fullmatch(_NUMBER, number) or re.search(_INEXACT, answer) or not claims_only(answer, number):
        return None
    return number.replace(",", "").removeprefix("+")


_MAX_TEXT = 5_000
_PLACE = SELF
_MAX_TURN = 100
_LEFT_SIDE = r"(?<![\w.,])\d{1,20}(?: ?[-+*/×·] ?\d{1,20}){1,20} ?(?:=(?!=)|equals\b|is\b)"
_TAG = r"(?i)</?[a-z]{1,20}>"
_EQUALS = r"(?<![!<>=])=(?!=)"
_BETWEEN = r"[\s*${}`]+"
_AROUND = "()[],;:!?\"'“”‘’_"
_DIGIT = r"\d"
_NUMBER = r"[-+]?(?:[0-9]{1,30}|[0-9]{1,3}(?:,[0-9]{3}){1,9})(?:\.[0-9]{1,30})?"
_INEXACT = (
    r"(?i)[<>~≈≤≥±√]|\b(?:about|around|approx\w*|circa|roughly|nearly|almost|over|under|up to|below|above"
    r"|between|at (?:least|most)|(?:more|less|greater|fewer|larger|smaller|higher|lower|bigger) than|half"
    r"|twice|double|triple|times|plus|squared|cubed|percent|(?:hundred|thousand|million|billion|trillion|dozen)s?)\b"
)
"""Beside a number these make it a bound, an estimate or a part of another number."""
_SENTENCE = r"[.!;](?=\s|$)|(?<=\?)(?=\s|$)|\n|,? so (?=[a-z])"
_FOREIGN = "[\u0250-\u02af\u0370-\u1dff\u2c00-\u2dff\ua640-\uabff\U00010000-\U0001efff]"
"""Letters that can look like English ones: phonetic, Greek, Cyrillic and so on; not emoji or Chinese."""

_LEADER = r"\\[a-z]+|['’]?[^\W_]+|[:,;(|—–=>-]"
_SAYING_SO = r"\b(?:(?:comes|equal|amounts|adds up|evaluates) to|i['’]d say|i (?:think|believe|say))\b"
"""Phrases that state what follows."""
_MARKS = frozenset(":,;(|—–=>-")
_MODIFIERS = word_set(
    """
    \\boxed \\fbox \\text \\textbf \\textit \\mathbf \\mathrm \\emph a an the this very quite currently
    now today presently mostly clear bright warm light nice pleasant beautiful lovely fine perfect just
    still all really definitely certainly simply clearly generally and good great only
    """
)
_STATING = word_set(
    """
    : is are 's ’s s be being as with has have having of for says shows reads reports reported gives indicates
    lists returns returned expect expecting enjoy enjoying remains stays equals gets get got makes so thus
    therefore hence then answer result sum total it that yes final word weather forecast conditions in
    """
)
"""Words that may come right before a value that is stated."""
_HEARSAY = (
    r"\b(?:they|people|some|someone|somebody|everybody|everyone|fools?|who|rumou?r\w*|legend|heard|told|said"
    r"|believed|thought|considered|imagine|theory|theor\w+|dreams?|chances?|odds|money|fingers|want|wants"
    r"|wanted|apparently|seemingly|reportedly|ostensibly|conceivably|potentially|ought|let['’]s|tomorrow|once"
    r"|formerly|previously|hard to|going to|can be|could|might|may|when|to be|word is|yeah"
    r"|looks?|seems?|appears?|sounds?|feels?)\b[^\0]{0,300}\0"
)
"""Before a value: words of others, appearances, and other times."""
_CONTRAST = (
    r"\0\W{0,9}(?:[^\W\d]+\W{1,3}){0,4}(?:earlier|once|before|previously|until|till|elsewhere|somewhere"
    r"|tomorrow|last|past|in another|like|who knows|what|my foot|yeah|sort of|kind of)\b|\0 as\b"
    r"|\0\W{1,9}(?:but|yet|only|except|however)\W+(?:it|that|this|they|he|she|i|we|you|actually|now|then"
    r"|really)\b|(?:~|\bun|!)\W?\0|(?:^|\s)[-<>≈±−]\0|\0\W{0,9}[:=]\W{0,9}(?:0|no|false)\b|\?\W{0,9}$"
)
"""Beside a value: another time or place, a correction, and signs against it."""
_HEDGE = (
    r"\b(?:maybe|perhaps|possibly|might|could|may|either|or|guess\w*|unsure|uncertain|unclear|if|whether"
    r"|unless)\b"
)
_WEAKENING_WORDS = word_set(
    """
    probably presumably supposedly allegedly likely assume assumed assuming suppose supposing supposed
    alleged claim claims claimed speculation bet random randomly arbitrary arbitrarily hypothetical
    hypothetically imaginary fictitious fictional pretend questionable questionably debatable debatably
    unverified unconfirmed unsupported unfounded inexact bunk surprise surprised possible option options
    alternative alternatively alternatives vs versus else otherwise others yesterday nowhere nay nein nicht
    kein keine pas negative minus zero lack lacks lacking absent absence missing omit omits omitted devoid
    opposite antithesis reverse inverse ceased stopped forbids prevents decline declines disbelieve
    disbelieves dunno bad un anti psych sike lol whatever
    """
)
"""Beside the value these words doubt, deny or list it instead of stating it."""
_WISHING_WORDS = word_set(
    """
    would should wish wished wishing hope hopes hoped hoping hopefully were pick choose
    """
)
"""Before the value these words wish for it. After it they may be about a consequence."""
_WEAKENING = (
    r"\?$|\0-\w|\w-\0|[!^=]\0|\0\s*=\s*0|\[\s*\]|</?(?:s|del|strike)>"
    r"|\b(?:used to|one of|as if|only in|too \w+ to|free of|short of|less than|hop(?:ed|ing) for|coin toss"
    r"|remains to be|off the table|far[- ]fetched|a stretch|(?:don|can|isn) t)\b"
    r"|-free\b|\d\s?%\s*\0|\0\W*(?:with )?\d+\s?%|\b\w \w \w\b|\0\W+n$"
    r"|\0(?:\s?[,/|&+]\s?\w+){3}"
)
_TURN = (
    r"(?:(?:or|but|and|actually|well|wait|though|maybe|perhaps|possibly)\W+){0,3}"
    r"(?:not|no|nope|nah|maybe|perhaps|possibly)(?:\W+(?:really|quite|so|true|at all|it|that))?"
    r"|(?:(?:or|but|and|actually|well|wait)\W+){0,3}(?:that|it|this|which)(?:['’]s| is| was|)"
    r"\W*(?:not|n['’]t)(?:\W+(?:true|so|right|correct|it|the case|the answer|what .{0,60}))?"
    r"|(?:that|it|this) (?:isn|wasn|ain)['’]t(?: .{0,60})?|far from it|nay|negative|psych|sike"
)


_RE2: Any = re2
_AGAINST_ALL = rf"{AGAINST_THE_WHOLE}|(?:\A|[.!;?\n])\s*(?:{_TURN})[\s?]*(?:[.!;?\n]|\z)"
_MOST_RIVALS = 50


@lru_cache(64)
def _against(rivals: frozenset[str]) -> Any:
    """One search for everything that refuses a text outside of the words that name the value."""
    patterns = _RE2.Set.SearchSet()
    for pattern in (_AGAINST_ALL, *(_RE2.escape(rival.casefold()) for rival in rivals)):
        patterns.Add(pattern)
    patterns.Compile()
    return patterns


def _ends_with_it(text: str, value: str, rivals: Collection[str]) -> bool:
    """Whether an ASCII text in lower case ends with the line `answer: value` and has nothing that refuses it.
    For most answers the rules below have the same result, at ten times the cost."""
    lead, _, line = text.rstrip().rpartition("\n")
    return (
        line.endswith(value)
        and line.removesuffix(value) in ("final answer: ", "answer: ")
        and value == value.strip() != ""
        and (not lead or lead.rstrip().endswith("."))
        and value not in lead
        and len(rivals) <= _MOST_RIVALS
        and not _against(frozenset(rivals)).Match(text)
    )


def _speaks_against(sentence: str) -> bool:
    if _PLACE in sentence:
        return (
            negates(sentence)
            or not _is_stated(sentence)
            or not words_of(sentence).isdisjoint(_WEAKENING_WORDS)
            or not words_of(sentence.partition(_PLACE)[0]).isdisjoint(_WISHING_WORDS)
            or re.search(_HEARSAY, sentence) is not None
            or re.search(_CONTRAST, sentence) is not None
            or re.search(_HEDGE, sentence) is not None
            or re.search(_WEAKENING, sentence) is not None
        )
    return len(sentence) <= _MAX_TURN and re.fullmatch(_TURN, sentence.strip(" ?")) is not None


def _is_stated(sentence: str) -> bool:
    """Whether the words right before each place of the value state it. Other scripts always do."""
    before, *others = sentence.split(_PLACE)[:-1]
    return all(
        not text.isascii() or _leader(text) in _STATING
        for text in (before, *(other for other in others if other.strip()))
    )


def _leader(text: str) -> str:
    """The word before a value, without articles, adverbs and markup between them; a mark counts as `:`."""
    for word in reversed(re.findall(_LEADER, re.sub(_SAYING_SO, "is", text))):
        if word not in _MODIFIERS:
            return ":" if word in _MARKS else word
    return ":"


def _says_any(text: str, values: Collection[str]) -> bool:
    flat = text.replace("\n", " ")
    texts = (_plain(value) for value in values)
    return any(value in flat and next(_places(flat, value), None) is not None for value in texts)


def _with_places(text: str, value: str) -> str:
    """The text with a place holder for each place that says the value."""
    plain = _plain(value)
    parts: list[str] = []
    end = 0
    for start in _places(text.replace("\n", " "), plain):
        if start >= end:
            parts += [text[end:start], _PLACE]
            end = start + len(plain)
    return "".join([*parts, text[end:]])


def _places(text: str, value: str) -> Iterator[int]:
    """The positions at which a text of one line says a value in whole words."""
    start = text.find(value) if value else -1
    while start >= 0:
        end = start + len(value)
        if not (_in_word(text[start - 1 : start]) or _in_word(text[end : end + 1])):
            yield start
        start = text.find(value, start + 1)


def _plain(value: str) -> str:
    return " ".join(readable(value).casefold().split())


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"
