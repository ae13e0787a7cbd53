"""The options of a multiple-choice question, and where a text names one: by its letter, or by its text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nemo_gym.verifiers.denials import OTHER, SELF, word_set
from nemo_gym.verifiers.exact import normalize
from nemo_gym.verifiers.text import peel_text

__all__ = [
    "MAX_ANSWER",
    "NOT_LONE",
    "VERBS",
    "Mention",
    "Options",
    "adjoins",
    "is_filler",
    "is_letter",
    "only",
    "plain",
    "without",
    "words_of",
]

MAX_ANSWER = 2_000
"""The most characters of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place in an answer that names an option by its letter, or by a text that several options may have."""

    start: int
    end: int
    letters: frozenset[str]
    by_letter: bool


class Options:
    """The options of one question by their letters; keys that are not single letters are ignored."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.values = {
            letter: value
            for letter, value in ((key.strip().upper(), value) for key, value in options.items())
            if len(letter) == 1 and letter.isalpha()
        }

    @cached_property
    def texts(self) -> dict[str, str]:
        """The text of each option, normalised."""
        return {letter: normalize(peel_text(value)) for letter, value in self.values.items()}

    def letter(self, char: str) -> str | None:
        """The letter of the option that a character names. Only ASCII letters have two cases."""
        key = char.upper() if char.isascii() else char
        return key if key in self.values else None

    def equal_text(self, answer: str) -> str | None:
        """The option whose text equals the answer, if there is only one."""
        normal = normalize(answer)
        return only([letter for letter, text in self.texts.items() if text and text == normal])

    def mentions(self, answer: str) -> list[Mention]:
        """All places that name an option, in order. A letter inside an option's text is part of the text."""
        tokens = list(_TOKEN.finditer(answer, 0, MAX_ANSWER))
        words = [_normal(token.group()) for token in tokens]
        mentions: list[Mention] = []
        present = set(words)
        used = [False] * len(tokens)
        for text, letters in self._by_words:
            size = len(text)
            if not present.issuperset(text):
                continue
            for at in range(len(words) - size + 1):
                if (
                    words[at] == text[0]
                    and tuple(words[at : at + size]) == text
                    and not any(used[at : at + size])
                ):
                    used[at : at + size] = [True] * size
                    start, end = tokens[at].start(), tokens[at + size - 1].end()
                    mentions.append(Mention(start, end, letters, by_letter=False))
        for at, token in enumerate(tokens):
            if token.end() - token.start() == 1 and not used[at]:
                letter = self._letter_at(answer, token.start(), words, at)
                if letter is not None:
                    own = frozenset([letter])
                    mentions.append(Mention(token.start(), token.end(), own, by_letter=True))
        return sorted(mentions, key=lambda mention: mention.start)

    def mark(self, piece: str, letter: str = "") -> str:
        """The piece with `SELF` for each name of the letter's option, and `OTHER` for the other options."""
        if piece.isascii() and self._is_free_of_names(piece):
            return piece
        piece = plain(_TAG.sub(" ", piece) if "<" in piece else piece)
        if not piece.isascii():
            piece = _BESIDE_HAN.sub(" ", piece)
        parts: list[str] = []
        end = 0
        for mention in self.mentions(piece):
            if mention.by_letter and _is_word(piece[mention.start], piece[mention.end :]):
                continue
            parts += [piece[end : mention.start], SELF if letter in mention.letters else OTHER]
            end = mention.end
        return "".join([*parts, piece[end:]])

    def _is_free_of_names(self, piece: str) -> bool:
        """Whether no word can be an option's letter or the first word of its text. For ASCII only."""
        words = _TOKEN.findall(piece)
        return self._letters.isdisjoint(words) and self._first_words.isdisjoint(map(str.lower, words))

    @cached_property
    def _letters(self) -> set[str]:
        """Words that can name an option by its letter: `a` and `i` only after a word such as `option`."""
        return {case for letter in self.values for case in (letter, letter.lower())} - {"a", "i"} | _NAMES

    @cached_property
    def _first_words(self) -> set[str]:
        return {text[0] for text, _ in self._by_words}

    @cached_property
    def _by_words(self) -> list[tuple[tuple[str, ...], frozenset[str]]]:
        """Each text that is not only filler, as words, with its options' letters; the longest first."""
        letters: dict[tuple[str, ...], set[str]] = {}
        for letter, value in self.values.items():
            words = tuple(words_of(plain(value)[:MAX_ANSWER]))
            if words and not is_filler(words) and not (len(words) == 1 and is_letter(words[0])):
                letters.setdefault(words, set()).add(letter)
        return sorted(
            ((words, frozenset(own)) for words, own in letters.items()), key=lambda pair: -len(pair[0])
        )

    def _letter_at(self, answer: str, place: int, words: Sequence[str], at: int) -> str | None:
        """The option that a word of one character names by its letter."""
        char = answer[place]
        if not char.isalpha() or self.letter(char) is None or adjoins(answer, place):
            return None
        following = words[at + 1] if at + 1 < len(words) else ""
        if char == "I" and following in _AFTER_PRONOUN:
            return None
        if char.islower() and char.isascii():
            before = words[at - 1] if at else ""
            if not (before in _NAMES or (before in ("is", ":", "(") and char not in "ai")):
                return None
        return self.letter(char)


def plain(answer: str) -> str:
    r"""An answer or option without LaTeX wrappers, delimiters, and blanks such as `\quad`."""
    answer = answer[: 4 * MAX_ANSWER]
    if "\\" in answer or "$" in answer or "~" in answer:
        answer = _LATEX_BLANK.sub(" ", peel_text(answer))
    if not answer.isascii():
        answer = answer.translate(_DASHES)
    return answer.strip()[: MAX_ANSWER + 1]


def words_of(text: str, *, only_words: bool = False) -> list[str]:
    """The tokens to compare, without a full stop or quotes at the end."""
    words = [_normal(token) for token in _TOKEN.findall(text)]
    if only_words:
        return [word for word in words if word[:1].isalnum() or word[:1] == "_"]
    while len(words) > 1 and words[-1] in (".", "", '"', "'"):
        words.pop()
    return words


def without(answer: str, mentions: Sequence[Mention], filler: str = " ") -> str:
    """The answer with a filler in place of each character of a mention, so that positions stay the same."""
    for mention in mentions:
        answer = answer[: mention.start] + filler * (mention.end - mention.start) + answer[mention.end :]
    return answer


def adjoins(answer: str, place: int) -> bool:
    """Whether a character beside a letter makes it a part of something longer."""
    before, after = answer[max(place - 2, 0) : place], answer[place + 1 : place + 3]
    if any(char.isalnum() or char in _ADJOINING for char in (before[-1:], after[:1]) if char):
        return True
    if NOT_LONE.search(before[-1:]) or before[-1:] == "!" or NOT_LONE.search(after[:1]):
        return True
    return (after[:1] in _JOINTS and after[1:2].isalnum()) or (
        before[-1:] in _JOINTS and before[:-1].isalnum()
    )


def is_filler(words: Sequence[str]) -> bool:
    """Whether words only announce an answer."""
    return _FILLER.issuperset(words)


def is_letter(text: str) -> bool:
    """Whether a text is one letter."""
    return len(text) == 1 and text.isalpha()


def only(letters: Sequence[str]) -> str | None:
    """The letter, if there is one only."""
    return letters[0] if len(letters) == 1 else None


NOT_LONE = re.compile(r"[≠¬~<>/✗✘❌]|![^\w]*[^\W\d_]")
"""Signs that change the meaning of a letter."""
VERBS = word_set(
    """
    is isn was wasn are can cannot could should would may might must has have had does doesn did do will won
    seems looks gets goes appears remains makes contradicts violates ignores misses lacks needs
    """
)
"""Verbs that may follow an option."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_LATEX_BLANK = re.compile(r"\\(?:q?quad(?![A-Za-z])|[ ,;:!()\[\]])|(?<!\\)\$|(?<=[^\s~])~(?=[^\s~])")
_TAG = re.compile(r"</?(?!(?:s|del|strike)>)\w{1,20}>", re.IGNORECASE)
_HAN = "[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"
_BESIDE_HAN = re.compile(f"(?<=[A-Z])(?={_HAN})|(?<={_HAN})(?=[A-Z])")
"""Between a letter and a script without blanks between words."""
_DASHES = str.maketrans("–—", "--")
_ADJOINING = "^_/+=\\"
_JOINTS = "-'’."
_NOUN = re.compile(r" ([a-z]{2,})")
_NAMES = frozenset(["option", "choice", "letter", "answer"])
_AFTER_PRONOUN = word_set("think choose pick select believe would go am say guess")
_AFTER_LETTER = word_set(
    """
    and or nor but because since as for not rather instead than also then over if in only alone maybe
    perhaps possibly again actually too
    """
)
_FILLER = word_set(
    """
    the a an my our your final correct right best only true most answer answers option choice letter
    solution response one statement is are was were it its this that which would should must be so thus
    therefore hence here clearly definitely likely probably i we think believe choose pick select go with
    say has value to d ll m re ve am s namely ie because since as for of and corresponds matches means
    """
)


def _normal(token: str) -> str:
    return token.lower() if token.isascii() else normalize(token)


def _is_word(char: str, rest: str) -> bool:
    """Whether `A` or `I` is an article or a pronoun because of the words after it."""
    following = _NOUN.match(rest)
    if char not in "AI" or following is None or following[1] in _AFTER_LETTER:
        return False
    return following[1] not in (VERBS if char == "A" else ("is", "isn"))
