"""What a text in plain English claims: one value and no other, without denying or hedging it.

Words are all that is looked at, so a text may be refused that a person would accept; what is accepted names
the value and says nothing against it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

__all__ = [
    "DENIAL_STEMS",
    "DENIAL_WORDS",
    "NEGATION_WORDS",
    "claimed_number",
    "claims_only",
    "denies",
    "negates",
    "readable",
    "takes_back",
]


def denies(text: str) -> bool:
    """Whether a text calls something wrong, excluded or doubtful, in words or with a cross."""
    words = _words(text.casefold())
    return (
        not words.isdisjoint(DENIAL_WORDS)
        or any(word.startswith(DENIAL_STEMS) for word in words)
        or (not words.isdisjoint(_DENIAL_OPENERS) and _DENIAL_PHRASE.search(text) is not None)
        or "~~" in text
        or (not text.isascii() and _CROSS.search(text) is not None)
    )


def negates(text: str) -> bool:
    """Whether a text has a word that reverses what stands beside it, such as `not`, `never` or `except`."""
    words = _words(text.casefold())
    return (
        not words.isdisjoint(NEGATION_WORDS)
        or any(word.startswith("except") for word in words)
        or _NEGATION_PHRASE.search(text) is not None
    )


def claims_only(text: str, value: str, rivals: Iterable[str] = ()) -> bool:
    """Whether a text says a value in whole words, and neither another one nor anything against it.

    Args:
        text: of any length; more than 5,000 characters claim nothing.
        value: one word or several; case and the width of blanks don't count.
        rivals: the other values there are. A rival that is part of the value does not count inside it.

    A denial anywhere in the text refuses it, and so does taking it back (`scratch that`). A negation, a hedge
    (`maybe`, `or`), a wish (`would`) or a question refuses it in a sentence that names the value, or where it
    is a whole sentence (`Or not.`). Letters that no English text has refuse it: words can hide in them.
    """
    if len(text) > _MAX_TEXT:
        return False
    text = readable(text)
    if value.isascii() and not text.isascii() and _FOREIGN.search(text):
        return False
    lines = (" ".join(line.split()) for line in text.replace(_PLACE, "").casefold().splitlines())
    rest = _replaced("\n".join(filter(None, lines)), value)
    if _PLACE not in rest or denies(rest) or takes_back(rest) or _says_any(rest, rivals):
        return False
    return not any(map(_speaks_against, _SENTENCE.split(rest)))


def claimed_number(text: str) -> str | None:
    """The one number that a text claims: `5` in `The sum is 5.`; None where it claims none, or no single one.

    A number is written in digits, with a sign, a point or commas between thousands, and comes back without
    the commas. The left side of a sum or product is no claim: `2 + 3 = 5` claims 5. Two different numbers, a
    bound or estimate (`at least 5`), and whatever `claims_only` refuses (a denial, a hedge, a question) claim
    nothing.
    """
    if len(text) > _MAX_TEXT:
        return None
    answer = _EQUALS.sub(" ", _LEFT_SIDE.sub(" ", _TAG.sub(" ", readable(text))))
    words = {word.strip(_AROUND).rstrip(".") for word in _BETWEEN.split(answer) if _DIGIT.search(word)}
    number = words.pop() if len(words) == 1 else ""
    if not _NUMBER.fullmatch(number) or _INEXACT.search(answer) or not claims_only(answer, number):
        return None
    return number.replace(",", "").removeprefix("+")


_MAX_TEXT = 5_000
_PLACE = "\0"
_MAX_TURN = 100
_LEFT_SIDE = re.compile(r"(?<![\w.,])\d{1,20}(?: ?[-+*/×·] ?\d{1,20}){1,20} ?(?:=(?!=)|equals\b|is\b)")
_TAG = re.compile(r"</?[a-z]{1,20}>", re.IGNORECASE)
_EQUALS = re.compile(r"(?<![!<>=])=(?!=)")
_BETWEEN = re.compile(r"[\s*${}`]+")
_AROUND = "()[],;:!?\"'“”‘’_"
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,30}|[0-9]{1,3}(?:,[0-9]{3}){1,9})(?:\.[0-9]{1,30})?")
_INEXACT = re.compile(
    r"[<>~≈≤≥±√]|\b(?:about|around|approx\w*|circa|roughly|nearly|almost|over|under|up to|below|above|between"
    r"|at (?:least|most)|(?:more|less|greater|fewer|larger|smaller|higher|lower|bigger) than|half|twice"
    r"|double|triple|times|plus|squared|cubed|percent|(?:hundred|thousand|million|billion|trillion|dozen)s?)\b",
    re.IGNORECASE,
)
"""Beside a number: it is a bound, an estimate or a part of another number."""
_WORD = re.compile(r"\w+")
_NOT_IN_WORDS = str.maketrans(
    {chr(code): " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
)
_SENTENCE = re.compile(r"[.!;](?=\s|$)|(?<=\?)(?=\s|$)|\n")
_HIDDEN = re.compile(
    "[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
_FOREIGN = re.compile("[\u0250-\u02af\u0370-\u1dff\u2c00-\u2dff\ua640-\uabff\U00010000-\U0001efff]")
"""Letters that look like others: phonetic, Greek, Cyrillic and so on; emoji and Chinese are none."""

DENIAL_WORDS = frozenset(
    [
        *(
            "wrong",
            "wrongly",
            "incorrect",
            "incorrectly",
            "inaccurate",
            "false",
            "falsely",
            "untrue",
            "invalid",
        ),
        *("mistake", "mistakes", "mistaken", "mistakenly", "erroneous", "erroneously", "error", "impossible"),
        *("implausible", "improbable", "unlikely", "inappropriate", "unsuitable", "ineligible", "irrelevant"),
        *("misleading", "nonsense", "bogus", "fake", "lie", "lies", "lying", "deny", "denies", "denied"),
        *("denying", "contrary", "trap", "distractor", "decoy", "joke", "joking", "kidding", "worst"),
        *("fail", "fails", "failed"),
    ]
)
DENIAL_STEMS = (
    *("eliminat", "exclud", "reject", "discard", "dismiss", "disprov", "refus", "refut", "retract"),
    *("disagree", "contradict", "avoid", "doubt", "oppos"),
)
_DENIAL_OPENERS = frozenset(["out", "least", "herring"])
_DENIAL_PHRASE = re.compile(
    r"\b(?:rul(?:e|es|ed|ing)\s(?:it\s|that\s|this\s)?out|cross(?:ed)?\sout|struck\sout|(?:is|are|be|goes)\sout"
    r"|red\sherring|least\s(?:likely|plausible|probable|suitable|correct|appropriate))\b",
    re.IGNORECASE,
)
_CROSS = re.compile("[≠¬✗✘✖❌❎🚫⛔👎]")
NEGATION_WORDS = frozenset(
    [
        *("not", "no", "never", "neither", "nor", "none", "nothing", "nobody", "cannot", "cant", "isnt"),
        *("nope", "nah", "non", "without", "besides", "unlike", "hardly", "barely", "scarcely", "seldom"),
        "rarely",
    ]
)
_NEGATION_PHRASE = re.compile(
    r"\b(?:(?:other|rather|different)\s(?:than|from)|instead\sof|opposed\sto|(?:apart|aside|far|away)\sfrom"
    r"|(?:all|any\w*|every\w*)\s(?:\w+\s)?(?:but|save))\b|n['’]t\b|!=",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|might|could|may|either|or|guess\w*|unsure|uncertain|unclear|if|whether|unless)\b"
)
_WEAKENING_WORDS = frozenset(
    [
        *("probably", "presumably", "supposedly", "allegedly", "likely", "assume", "assumed", "assuming"),
        *("suppose", "supposing", "supposed", "alleged", "claim", "claims", "claimed", "speculation", "bet"),
        *("random", "randomly", "arbitrary", "arbitrarily", "hypothetical", "hypothetically", "imaginary"),
        *("fictitious", "fictional", "pretend", "questionable", "questionably", "debatable", "debatably"),
        *(
            "unverified",
            "unconfirmed",
            "unsupported",
            "unfounded",
            "inexact",
            "bunk",
            "surprise",
            "surprised",
        ),
        *("possible", "option", "options", "alternative", "alternatively", "alternatives", "vs", "versus"),
        *("else", "otherwise", "others", "yesterday", "nowhere", "nay", "nein", "nicht", "kein", "keine"),
        *("pas", "negative", "minus", "zero", "lack", "lacks", "lacking", "absent", "absence", "missing"),
        *("omit", "omits", "omitted", "devoid", "opposite", "antithesis", "reverse", "inverse", "ceased"),
        *("stopped", "forbids", "prevents", "decline", "declines", "disbelieve", "disbelieves", "dunno"),
        *("bad", "un", "anti", "psych", "sike", "lol", "whatever"),
    ]
)
"""Beside the value they doubt, deny or list it instead of stating it."""
_WISHING_WORDS = frozenset(
    [
        *("would", "should", "wish", "wished", "wishing", "hope", "hopes", "hoped", "hoping", "hopefully"),
        *("were", "pick", "choose"),
    ]
)
"""So do these before the value; behind it they may say what follows from it."""
_WEAKENING = re.compile(
    r"\?$|\0-\w|\w-\0|[!^=]\0|\0\s*=\s*0|\[\s*\]|</?(?:s|del|strike)>"
    r"|\b(?:used to|one of|as if|only in|too \w+ to|free of|short of|less than|hop(?:ed|ing) for|coin toss"
    r"|remains to be|off the table|far[- ]fetched|a stretch|(?:don|can|isn) t)\b"
    r"|-free\b|\d\s?%\s*\0|\0\W*(?:with )?\d+\s?%|\b\w \w \w\b|\0\W+n$"
    r"|\0(?:\s?[,/|&+]\s?\w+){3}"
)
_BACK = re.compile(
    r"\b(?:(?:scratch|strike|forget|ignore|disregard)\s"
    r"(?:that|this|it|the (?:previous|above|former|first|last))|second thoughts?"
    r"|(?:made|making|make)\s(?:that|this|it)\sup|fabricat\w+|(?:just|only) pretending"
    r"|chang\w+ my mind|(?:take|taking|took) (?:that|it|this|everything) back"
    r"|the (?:reverse|opposite|contrary)\s(?:holds|is|applies)|correction)\b"
)
_TURN = re.compile(
    r"(?:(?:or|but|and|actually|well|wait|though|maybe|perhaps|possibly)\W+){0,3}"
    r"(?:not|no|nope|nah|maybe|perhaps|possibly)(?:\W+(?:really|quite|so|true|at all|it|that))?"
    r"|(?:(?:or|but|and|actually|well|wait)\W+){0,3}(?:that|it|this|which)(?:['’]s| is| was|)"
    r"\W*(?:not|n['’]t)(?:\W+(?:true|so|right|correct|it|the case|the answer|what .{0,60}))?"
    r"|(?:that|it|this) (?:isn|wasn|ain)['’]t(?: .{0,60})?|far from it|nay|negative|psych|sike"
)


def _words(text: str) -> set[str]:
    return set(text.translate(_NOT_IN_WORDS).split() if text.isascii() else _WORD.findall(text))


def _speaks_against(sentence: str) -> bool:
    if _PLACE in sentence:
        return (
            negates(sentence)
            or not _words(sentence).isdisjoint(_WEAKENING_WORDS)
            or not _words(sentence.partition(_PLACE)[0]).isdisjoint(_WISHING_WORDS)
            or _HEDGE.search(sentence) is not None
            or _WEAKENING.search(sentence) is not None
        )
    return len(sentence) <= _MAX_TURN and _TURN.fullmatch(sentence.strip(" ?")) is not None


def readable(text: str) -> str:
    """Without characters that can't be seen, and with one form for each that can."""
    return text if text.isascii() else _HIDDEN.sub("", unicodedata.normalize("NFKC", text))


def takes_back(text: str) -> bool:
    return _BACK.search(text) is not None


def _says_any(text: str, values: Iterable[str]) -> bool:
    flat = text.replace("\n", " ")
    wanted = (_plain(value) for value in values)
    return any(value in flat and next(_places(flat, value), None) is not None for value in wanted)


def _replaced(text: str, value: str) -> str:
    """The text with a place holder for each place that says the value."""
    wanted = _plain(value)
    parts: list[str] = []
    end = 0
    for start in _places(text.replace("\n", " "), wanted):
        if start >= end:
            parts += [text[end:start], _PLACE]
            end = start + len(wanted)
    return "".join([*parts, text[end:]])


def _places(text: str, value: str) -> Iterator[int]:
    """Where a text of one line says a value in whole words."""
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
