"""Words, phrases and signs of English that deny something, or take it back."""

import re
import unicodedata

__all__ = [
    "AGAINST_THE_WHOLE",
    "DENIAL_PHRASE",
    "DENIAL_STEMS",
    "DENIAL_WORDS",
    "NEGATION_PHRASE",
    "NEGATION_WORDS",
    "OTHER",
    "SELF",
    "denies",
    "negates",
    "readable",
    "takes_back",
    "word_set",
    "words_of",
]

SELF = "\0"
"""The mark in a text for words that name the answer."""
OTHER = "\1"
"""The mark in a text for words that name a rival of the answer."""


def denies(text: str) -> bool:
    """Whether a text calls something wrong, excluded or doubtful, in words or with a cross."""
    words = words_of(text.casefold())
    return (
        not words.isdisjoint(DENIAL_WORDS)
        or any(word.startswith(DENIAL_STEMS) for word in words)
        or (not words.isdisjoint(_DENIAL_OPENERS) and re.search(_ANY_DENIAL_PHRASE, text) is not None)
        or "~~" in text
        or (not text.isascii() and re.search(_CROSS, text) is not None)
    )


def negates(text: str) -> bool:
    """Whether a text has a word that reverses the words beside it, such as `not`, `never` or `except`."""
    words = words_of(text.casefold())
    return (
        not words.isdisjoint(NEGATION_WORDS)
        or any(word.startswith("except") for word in words)
        or re.search(_ANY_NEGATION, text) is not None
    )


def readable(text: str) -> str:
    """The text without invisible characters, and with one form for each visible one."""
    return text if text.isascii() else re.sub(_HIDDEN, "", unicodedata.normalize("NFKC", text))


def takes_back(text: str) -> bool:
    """Whether a text in lower case takes back an earlier statement: `scratch that`."""
    return re.search(_BACK, text) is not None


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as text."""
    return frozenset(text.split())


def words_of(text: str) -> set[str]:
    """The words of a text."""
    return set(text.translate(_NOT_IN_WORDS).split() if text.isascii() else re.findall(_WORD, text))


# Patterns are text, which `re` compiles at the first use: an import that needs none of them costs nothing.
DENIAL_WORDS = word_set(
    """
    wrong wrongly incorrect incorrectly inaccurate false falsely untrue invalid mistake mistakes mistaken
    mistakenly erroneous erroneously error impossible implausible improbable unlikely inappropriate
    unsuitable ineligible irrelevant misleading nonsense bogus fake lie lies lying deny denies denied
    denying contrary trap distractor decoy joke joking kidding worst fail fails failed
    """
)
DENIAL_STEMS = (
    *("eliminat", "exclud", "reject", "discard", "dismiss", "disprov", "refus", "refut", "retract"),
    *("disagree", "contradict", "avoid", "doubt", "oppos", "withdr", "fabricat", "recant", "revok"),
    "repudiat",
)
_DENIAL_OPENERS = frozenset(["out", "least", "herring"])
DENIAL_PHRASE = (
    r"rul(?:e|es|ed|ing)\s(?:it\s|that\s|this\s)?out|cross(?:ed)?\sout|struck\sout|(?:is|are|be|goes)\sout"
    r"|red\sherring|least\s(?:likely|plausible|probable|suitable|correct|appropriate)"
)
_ANY_DENIAL_PHRASE = rf"(?i:\b(?:{DENIAL_PHRASE})\b)"
_CROSS = "[≠¬✗✘✖❌❎🚫⛔👎]"
NEGATION_WORDS = word_set(
    """
    not no never neither nor none nothing nobody cannot cant isnt nope nah non without besides unlike hardly
    barely scarcely seldom rarely
    """
)
NEGATION_PHRASE = (
    r"(?:other|rather|different)\s(?:than|from)|instead\sof|opposed\sto|(?:apart|aside|far|away)\sfrom"
)
_ANY_NEGATION = rf"(?i)\b(?:{NEGATION_PHRASE}|(?:all|any\w*|every\w*)\s(?:\w+\s)?(?:but|save))\b|n['’]t\b|!="
_BACK = (
    r"\b(?:(?:scratch|strike|forget|ignore|disregard)\s"
    r"(?:that|this|it|(?:the|my) (?:previous|above|former|first|last|answer|choice))"
    r"|second thoughts?|who knows"
    r"|(?:made|making|make)\s(?:that|this|it)\sup|fabricat\w+|(?:just|only) pretending"
    r"|chang\w+ my mind|(?:take|taking|took) (?:that|it|this|everything) back"
    r"|the (?:reverse|opposite|contrary)\s(?:holds|is|applies)|correction)\b"
)
_HIDDEN = "[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
_WORD = r"\w+"
_NOT_IN_WORDS = str.maketrans(
    {chr(code): " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
)

AGAINST_THE_WHOLE = "|".join(
    [
        rf"\b(?:{'|'.join(sorted(DENIAL_WORDS))})\b",
        rf"\b(?:{'|'.join(DENIAL_STEMS)})",
        *("~~", _ANY_DENIAL_PHRASE, _BACK),
    ]
)
"""The pattern, also for RE2, of all that `denies` and `takes_back` look for in ASCII text in lower case."""
