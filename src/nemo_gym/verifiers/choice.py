r"""Read which option of a multiple-choice question a response picked.

Policies that hold in every mode:

- A letter that is not an option is no answer.
- The last box or marker decides. An earlier one does not replace a last one that contradicts itself.
- A letter and an option text that belong to different options contradict each other: no answer.
- Several option letters are no answer, except inside the very text of the option picked.
- An answer that denies what it names ("B is wrong", "anything but B"), or doubts it ("B maybe", "B?"), is no
  answer. A negation does not count inside the option's text or in a reason or contrast ("not A").
- An answer is none when the words around it deny it, doubt it or join it to another (`It isn't \boxed{B}`,
  `A or \boxed{B}`), or when a later sentence takes it back or replaces it ("That is wrong.", "I mean A.").
  Words about other options, the question and the reasons don't count. `I think` and `most likely` are no
  doubts.
- `Wrong answer:` and similar words introduce no answer. A box right after another one with another answer is
  no answer either.
- Look-alike letters of other alphabets are other letters. Only `lenient_answer_colon_md` reads Arabic,
  Bengali and full-width letters and digits. Lower-case letters count only in the lenient modes.
- Text inside `<think>` never counts.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from nemo_gym.verifiers.denials import OTHER, SELF, denies, negates
from nemo_gym.verifiers.exact import normalize
from nemo_gym.verifiers.opposition import (
    SENTENCE,
    is_opposed,
    is_opposed_before,
    opposes_after,
    opposes_before,
)
from nemo_gym.verifiers.options import (
    MAX_ANSWER,
    NOT_LONE,
    VERBS,
    Mention,
    Options,
    adjoins,
    is_filler,
    is_letter,
    only,
    plain,
    without,
    words_of,
)
from nemo_gym.verifiers.patterns import last_place
from nemo_gym.verifiers.text import (
    Place,
    answer_places,
    box_beside,
    is_reordered,
    last_box,
    last_boxes,
    strip_reasoning,
)

__all__ = ["GradingMode", "grade_choice"]

GradingMode = Literal[
    "strict_single_letter_boxed", "lenient_boxed", "lenient_answer_colon", "lenient_answer_colon_md"
]


def grade_choice(
    text: str,
    options: Mapping[str, str],
    mode: GradingMode = "strict_single_letter_boxed",
    output_regex: str | list[str] | None = None,
) -> str | None:
    r"""Return the upper-case letter of the option that the response picked, or None.

    Args:
        text: the whole response.
        options: the text of each option by its letter; keys that are not single letters are ignored.
        mode: `strict_single_letter_boxed`, the last `\boxed{}` holds one capital and no other letter, or
            begins with a capital and one of `: ) . -`; `lenient_boxed`, that, or a lower-case letter, or
            the letter and the text of one option, both or either, alone or among words such as "the answer
            is"; `lenient_answer_colon`, the same after the last `Answer:`; `lenient_answer_colon_md`, the
            last `Answer:` that names options, in Markdown, and in any words that name a single option.
        output_regex: the data set's own pattern or patterns. The first that matches decides by its last
            match, which must be an option's letter or text; `mode` decides where none matches. Ignores
            case. Patterns run in linear time on at most the last 10,000 characters: `bounded_pattern` says
            what they can't express.

    Raises:
        ValueError: `output_regex` is not valid, can't be run in linear time, or is too much for one answer.
    """
    choices = _choices(tuple(options.items()))
    text = strip_reasoning(text)
    if is_reordered(text):
        return None
    if output_regex:
        place = last_place([output_regex] if isinstance(output_regex, str) else output_regex, text)
        if place is not None:
            return choices.pick(choices.lenient, text, place)
    match mode:
        case "strict_single_letter_boxed":
            return _boxed(choices, choices.strict, text)
        case "lenient_boxed":
            return _boxed(choices, choices.lenient, text)
        case "lenient_answer_colon":
            place = next(_answers(choices, text), None)
            return None if place is None else choices.pick_line(choices.lenient, text, place)
        case "lenient_answer_colon_md":
            return _last_named(choices, text)


_LEADING = re.compile(r"[^\w]*[^\W\d_]\s*[*_]*\s?[:).-]")
_QUESTION = re.compile(r"\A\W*[?？؟‽]|[?？؟‽]\W*\Z")
_COMMAND = re.compile(r"\\[A-Za-z]")
_AROUND = " .:()[]$"
_AROUND_SELF = f"{SELF} .,:()[]-*"
_ALONGSIDE = re.compile(r"[\w\s.,:;\"'()=!?*–—-]*")
_BOX_COMMAND = re.compile(r"\\(?:boxed|fbox)\s?\{")
_MAX_BOXES = 6
_NUMBER = re.compile(r"\d+")
_ASSIGNMENT = re.compile(r"\s*[a-z]\s?=\s?")
_ASIDE = re.compile(
    r"\b(?:because|since|as|for|due to)\b|\b(?:not|rather than|instead of|unlike)\W{1,3}\x01", re.IGNORECASE
)
"""Where a reason or a contrast begins: `because`; `not A`."""
_FOREIGN_LETTERS = {
    **dict(zip("أبجدهوزحطي", "ABCDEFGHIJ", strict=True)),
    "ا": "A",
    **dict(zip("কখগঘঙ", "ABCDE", strict=True)),
    **dict(zip("অবডঢ", "ABCD", strict=True)),
}
_SCRIPTED_WORD = re.compile(r"[\w\u0300-\u036f\u0600-\u06ff\u0980-\u09ff]+")


class _Choices(Options):
    """The options of one question, and the ways in which an answer can pick one of them."""

    def strict(self, answer: str) -> str | None:
        """A capital alone, or a capital with a marker before words that don't oppose it."""
        first = next((char for char in answer if char.isalpha()), "")
        letter = (self._alone(answer) or self._leading(answer)) if first.isupper() else None
        return self._sure(letter, answer)

    def lenient(self, answer: str) -> str | None:
        """A letter alone or with a marker, the text of an option, or both among words that add nothing."""
        letter = self._short(answer) or self._among_filler(answer)
        return (
            letter
            if letter and len(answer) > 1 and self._is_text(answer, letter)
            else self._sure(letter, answer)
        )

    def free(self, answer: str) -> str | None:
        """Like `lenient`, or one option among any words that don't oppose it."""
        return self.lenient(answer) or self._sure(self._among_words(answer), answer)

    def foreign(self, answer: str) -> str | None:
        """Like `free`, in Markdown, with the letters and digits of other scripts."""
        answer = answer.replace("*", "")
        return self.free(_latin(answer)) or self.lenient(answer)

    def pick(self, read: Callable[[str], str | None], text: str, place: Place) -> str | None:
        """The letter that a reader finds at a place of the text, unless the words around it oppose it."""
        letter = read(plain(place.content))
        return letter if letter and self.stands(letter, text, place) else None

    def pick_line(self, read: Callable[[str], str | None], text: str, place: Place) -> str | None:
        """Like `pick`, from a whole line, or from its first sentence if the others are about other things."""
        if read(plain(place.content)):
            return self.pick(read, text, place)
        stop = SENTENCE.search(place.content)
        if stop is None:
            return None
        letter = self.pick(
            read, text, Place(place.content[: stop.start()], place.start, place.start + stop.start())
        )
        rest = plain(place.content[stop.end() :])
        following = self.mentions(rest)[:1]
        is_other_text = any(
            not it.start and not it.by_letter and letter not in it.letters for it in following
        )
        return None if is_other_text else letter

    def stands(self, letter: str, text: str, place: Place) -> bool:
        """Whether no words around the place where the text picks a letter oppose it."""
        return not is_opposed(text, place.start, place.end, lambda piece: self.mark(piece, letter))

    def _sure(self, letter: str | None, answer: str) -> str | None:
        """The letter, unless words of the answer itself doubt it: `B, maybe`; `B?`."""
        if letter is None or len(answer) == 1:
            return letter
        marked = self.mark(answer, letter)
        if not marked.strip(_AROUND_SELF):
            return letter
        before, mention, after = marked.rpartition(SELF)
        if not mention or normalize(after.lstrip(_AROUND + "-")) == self.texts[letter]:
            return letter
        is_doubtful = _QUESTION.search(after) or opposes_before(before) or opposes_after(after)
        return None if is_doubtful else letter

    def _is_text(self, answer: str, letter: str) -> bool:
        """Whether an answer is the text of an option, with a question mark only where that has one."""
        is_question = _QUESTION.search(answer) is not None and not _QUESTION.search(self.values[letter])
        return not is_question and normalize(answer) == self.texts[letter]

    def _short(self, answer: str) -> str | None:
        return self._alone(answer) or self.equal_text(answer) or self._leading(answer)

    def _alone(self, answer: str) -> str | None:
        """The only letter of the answer, unless a digit or an operator adjoins it or a number disagrees."""
        bare = answer.strip(_AROUND)
        if bare[:1] + bare[-1:] == "<>":
            bare = bare[1:-1]
        if len(bare) == 1 and bare.isalpha():
            return self.letter(bare)
        places = [place for place, char in enumerate(answer[: MAX_ANSWER + 1]) if char.isalpha()]
        if len(places) != 1 or len(answer) > MAX_ANSWER or NOT_LONE.search(answer) or denies(answer):
            return None
        if len(_NUMBER.findall(answer)) > 1:
            return None
        letter = self.letter(answer[places[0]])
        if letter is None or adjoins(answer, places[0]):
            return None
        others = [mention for mention in self.mentions(answer) if letter not in mention.letters]
        return None if others or self._is_other_text(answer, letter) else letter

    def _leading(self, answer: str) -> str | None:
        """Read `B) the text of option B`. Any words may follow that don't oppose the option."""
        marker = _LEADING.match(answer[:MAX_ANSWER])
        if marker is None or len(answer) > MAX_ANSWER:
            return None
        char = next(char for char in marker.group() if char.isalpha())
        letter = self.letter(char)
        rest = answer[marker.end() :]
        if marker.group()[-1] == "-" and rest[:1].isdigit():
            return None
        is_weak = marker.group()[-1] in ".-" and (rest[:1].isalnum() or char.islower())
        if letter is None or adjoins(answer, answer.index(char)):
            return None
        if normalize(rest) == self.texts[letter]:
            return letter
        if is_weak or self._is_other_text(rest, letter):
            return None
        return letter if self._goes_on(rest, letter) else None

    def _among_filler(self, answer: str) -> str | None:
        """One option, by letter, text or both, where every other word is a filler."""
        mentions = self.mentions(answer)
        if not mentions:
            return self._empty_text(answer)
        start = mentions[0].start
        end = _claim_end(answer, mentions, mentions[0].end)
        mentions = [mention for mention in mentions if mention.start < end]
        letter = _agreed(mentions)
        before = "" if _ASSIGNMENT.fullmatch(answer[:start]) else answer[:start]
        rest = before + without(answer, mentions)[start:end]
        if letter is None or not _ALONGSIDE.fullmatch(rest) or _signed(answer, mentions) or denies(rest):
            return None
        return letter if is_filler(words_of(rest, only_words=True)) else None

    def _empty_text(self, answer: str) -> str | None:
        """The longest option at the end of an answer whose text is a filler word, such as "true"."""
        words = words_of(answer[:MAX_ANSWER])
        if not _ALONGSIDE.fullmatch(answer) or not is_filler(words_of(answer, only_words=True)):
            return None
        texts = {letter: text.split() for letter, text in self.texts.items() if text}
        fitting = {letter: len(text) for letter, text in texts.items() if words[-len(text) :] == text}
        return only([letter for letter, size in fitting.items() if size == max(fitting.values())])

    def _among_words(self, answer: str) -> str | None:
        mentions = self.mentions(answer)
        if not mentions or len(answer) > MAX_ANSWER or not any(mention.by_letter for mention in mentions):
            return None
        end = _claim_end(answer, mentions, mentions[0].end)
        letter = _agreed([mention for mention in mentions if mention.start < end])
        before = answer[: mentions[0].start]
        if letter is None or NOT_LONE.search(before) or _COMMAND.search(without(answer, mentions)):
            return None
        if denies(before) or negates(before):
            return None
        first = mentions[0] if mentions[0].by_letter else mentions[-1]
        return letter if self._goes_on(answer[first.end :], letter) else None

    def _goes_on(self, rest: str, letter: str) -> bool:
        """Whether what follows an option's letter names no other option and says nothing against it."""
        mentions = self.mentions(rest)
        end = _claim_end(rest, mentions, 0)
        if any(letter not in mention.letters for mention in mentions if mention.start < end):
            return False
        claim = without(rest, mentions)[:end]
        if denies(claim) or negates(claim):
            return False
        words = words_of(claim, only_words=True)
        return not words or words[0] not in VERBS or is_filler(words)

    def _is_other_text(self, answer: str, letter: str) -> bool:
        """Whether the answer is, to the letter, the text of another option only."""
        text = normalize(answer)
        if not text or is_letter(text) or text == self.texts[letter]:
            return False
        return text in self.texts.values()


@lru_cache(maxsize=64)
def _choices(options: tuple[tuple[str, str], ...]) -> "_Choices":
    """The options of a task, cached because a task is graded many times."""
    return _Choices(dict(options))


def _boxed(choices: "_Choices", read: Callable[[str], str | None], text: str) -> str | None:
    """The option in the last box, unless a different box comes right before it."""
    box = last_box(text)
    letter = None if box is None else choices.pick(read, text, box)
    if box is None or letter is None:
        return None
    beside = box_beside(text, box)
    if beside is not None and read(plain(beside.content)) != letter:
        return None
    return None if _contradicts_outside(choices, letter, text, box) else letter


def _contradicts_outside(choices: "_Choices", letter: str, text: str, box: Place) -> bool:
    """Whether a box around another one names an option besides it, or there are too many boxes around it."""
    outer = next(reversed(last_boxes(text)), None)
    if outer is None or outer.start == box.start:
        return False
    around = text[outer.start : box.start], text[box.end : outer.end]
    words = plain(_BOX_COMMAND.sub(" ", " ".join(around)).strip("{} "))
    is_deep = around[0].count("{") >= _MAX_BOXES
    return is_deep or any(letter not in mention.letters for mention in choices.mentions(words))


def _last_named(choices: "_Choices", text: str) -> str | None:
    for place in _answers(choices, text):
        letter = choices.pick_line(choices.foreign, text, place)
        if letter is not None:
            return letter
        latin = _latin(plain(place.content))
        if choices.mentions(latin) or choices.equal_text(latin) or denies(latin):
            return None
    return None


def _answers(choices: "_Choices", text: str) -> Iterator[Place]:
    """The text after each `Answer:`, or the box in it, the last first; `Wrong answer:` introduces none."""
    for place in reversed(answer_places(text)):
        if not is_opposed_before(text, place.start, choices.mark):
            box = last_box(place.content)
            yield place if box is None else Place(box.content, place.start + box.start, place.start + box.end)


def _latin(answer: str) -> str:
    """Write full-width characters, foreign digits and foreign letters that stand alone in ASCII."""
    folded = "".join(
        str(unicodedata.decimal(char))
        if char.isdecimal()
        else unicodedata.normalize("NFKC", char)
        if "\uff01" <= char <= "\uff5e"
        else char
        for char in answer
    )
    return _SCRIPTED_WORD.sub(lambda word: _FOREIGN_LETTERS.get(word.group(), word.group()), folded)


def _agreed(mentions: Sequence[Mention]) -> str | None:
    """The one letter that all mentions can mean."""
    if not mentions:
        return None
    return only(sorted(frozenset[str].intersection(*(mention.letters for mention in mentions))))


def _claim_end(answer: str, mentions: Sequence[Mention], begin: int) -> int:
    """The position where the claim ends, and a reason or a contrast begins."""
    aside = _ASIDE.search(without(answer, mentions, OTHER), begin)
    return len(answer) if aside is None else aside.start()


def _signed(answer: str, mentions: Sequence[Mention]) -> bool:
    """Whether a sign or a further part of a number adjoins the text of an option."""
    return any(
        (answer[mention.start - 1 : mention.start] in ("-", ".", "'") and mention.start > 0)
        or (
            answer[mention.end : mention.end + 1] in (".", ",", "-")
            and answer[mention.end + 1 :][:1].isdigit()
        )
        for mention in mentions
        if not mention.by_letter
    )
