r"""Read which option of a multiple-choice question a response picked.

Policies that hold in every mode:

- A letter that is not an option is no answer, whichever way it was found.
- The last box or marker decides; an earlier one is not consulted when the last is a contradiction.
- A letter and an option text that belong to different options contradict each other: no answer.
- Several option letters are no answer, except inside the very text of the option picked.
- Look-alike letters of other alphabets are other letters. Only `lenient_answer_colon_md` reads Arabic,
  Bengali and full-width letters and digits. Lower-case letters count only in the lenient modes.
- Text inside `<think>` never counts.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from nemo_gym.verifiers.exact import normalize
from nemo_gym.verifiers.patterns import bounded_pattern
from nemo_gym.verifiers.text import last_boxed, marked_answers, peel_text, strip_reasoning

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
            the text of exactly one option, alone or among words such as "the answer is";
            `lenient_answer_colon`, the same after the last `Answer:`, without the words;
            `lenient_answer_colon_md`, the last `Answer:` that names options, in Markdown, and in words
            that name a single option without negating it.
        output_regex: the data set's own pattern or patterns. The first that matches decides by its last
            match, which must be an option's letter or text; `mode` decides where none matches. Ignores
            case. See `bounded_pattern` for what keeps it from hanging: patterns that could take
            exponential time are refused, and all see at most the last 10,000 characters.

    Raises:
        ValueError: `output_regex` is not valid or not safe to run on model text.
    """
    choices = _Choices(options)
    text = strip_reasoning(text)
    for pattern in [output_regex] if isinstance(output_regex, str) else output_regex or []:
        found = bounded_pattern(pattern).last_match(text)
        if found is not None:
            return choices.short(peel_text(found))
    match mode:
        case "strict_single_letter_boxed":
            return choices.strict(_box(text))
        case "lenient_boxed":
            return choices.lenient(_box(text))
        case "lenient_answer_colon":
            answers = marked_answers(text, limit=1)
            return choices.short(peel_text(_open_box(answers[0]))) if answers else None
        case "lenient_answer_colon_md":
            return _last_named(choices, marked_answers(text))


_MAX_ANSWER = 2_000
_LEADING = re.compile(r"[^\w]*([^\W\d_])\s*[*_]*\s?([:).-])")
_WORD = re.compile(r"\w+|=")
_NOT_LONE = re.compile(r"[≠¬~<>/✗✘❌]|![^\w]*[^\W\d_]")
_ADJOINING = "^_/+="
_ALONGSIDE = re.compile(r"[\w\s.,:;\"'()=]*")
_ASSIGNMENT = re.compile(r"[a-z]\s?=\s?")
_FILLER = frozenset(
    [
        *("the", "a", "an", "my", "final", "correct", "right", "best", "answer", "option", "choice"),
        *("is", "are", "was", "it", "its", "this", "that", "would", "be", "so", "thus", "therefore", "hence"),
        *("i", "think", "choose", "pick", "select", "value", "="),
    ]
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|except|cannot|without|wrong|incorrect|false|eliminate[ds]?)\b|n['’]t\b",
    re.IGNORECASE,
)
_FOREIGN_LETTERS = {
    **dict(zip("أبجدهوزحطي", "ABCDEFGHIJ", strict=True)),
    "ا": "A",
    **dict(zip("কখগঘঙ", "ABCDE", strict=True)),
    **dict(zip("অবডঢ", "ABCD", strict=True)),
}
_SCRIPTED_WORD = re.compile(r"[\w\u0300-\u036f\u0600-\u06ff\u0980-\u09ff]+")


class _Choices:
    """The options of one question, and the ways in which an answer can name one of them."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.texts = {
            letter: normalize(peel_text(value))
            for letter, value in ((key.strip().upper(), value) for key, value in options.items())
            if len(letter) == 1 and letter.isalpha()
        }

    def strict(self, answer: str) -> str | None:
        first = next((char for char in answer if char.isalpha()), "")
        return self.lone_letter(answer) or self._leading(answer) if first.isupper() else None

    def short(self, answer: str) -> str | None:
        return self.lone_letter(answer) or self._leading(answer) or self.equal_text(answer)

    def lenient(self, answer: str) -> str | None:
        return self.short(answer) or self._text_among_filler(answer)

    def lone_letter(self, answer: str) -> str | None:
        """Return the only letter of the answer, unless a digit or an operator adjoins it."""
        places = [place for place, char in enumerate(answer[: _MAX_ANSWER + 1]) if char.isalpha()]
        if len(places) != 1 or len(answer) > _MAX_ANSWER or _NOT_LONE.search(answer):
            return None
        around = answer[max(places[0] - 1, 0) : places[0]] + answer[places[0] + 1 : places[0] + 2]
        if any(char.isalnum() or char in _ADJOINING for char in around):
            return None
        letter = self._option(answer[places[0]])
        if letter is None or not self._agrees(answer, letter):
            return None
        leading = _LEADING.match(answer)
        return letter if leading is None or self._agrees(answer[leading.end() :], letter) else None

    def equal_text(self, answer: str) -> str | None:
        wanted = normalize(peel_text(answer))
        return _only([letter for letter, text in self.texts.items() if text and text == wanted])

    def named(self, answer: str) -> list[str]:
        """Return the distinct options whose capital letter stands alone in the answer."""
        return sorted({word for word in _WORD.findall(answer) if word in self.texts})

    def _option(self, char: str) -> str | None:
        key = char.upper() if char.isascii() else char
        return key if key in self.texts else None

    def _leading(self, answer: str) -> str | None:
        """Read `B) the text of option B`, which may go on in any way that names no other option."""
        match = _LEADING.match(answer[:_MAX_ANSWER])
        letter = self._option(match[1]) if match else None
        if match is None or letter is None:
            return None
        rest = answer[match.end() : _MAX_ANSWER]
        if normalize(peel_text(rest)) == self.texts[letter]:
            return letter
        is_weak = match[2] in ".-" and (rest[:1].isalnum() or match[1].islower())
        if is_weak or self.named(rest) or not self._agrees(answer, letter) or not self._agrees(rest, letter):
            return None
        return letter

    def _agrees(self, answer: str, letter: str) -> bool:
        """Tell whether the answer is not, to the letter, the text of another option only."""
        wanted = normalize(peel_text(answer))
        is_letter = len(wanted) == 1 and wanted.isalpha()
        if not wanted or is_letter or wanted == self.texts[letter]:
            return True
        return wanted not in self.texts.values()

    def _text_among_filler(self, answer: str) -> str | None:
        wanted = normalize(answer)
        found: list[str] = []
        for letter, text in self.texts.items():
            before, middle, after = wanted.partition(text) if text else ("", "", "")
            if middle and _only_filler(before, after):
                found.append(letter)
        return _only(found)


def _box(text: str) -> str:
    return peel_text(last_boxed(text) or "")[: _MAX_ANSWER + 1]


def _open_box(answer: str) -> str:
    content = last_boxed(answer)
    return answer if content is None else content


def _last_named(choices: _Choices, answers: Sequence[str]) -> str | None:
    for marked in reversed(answers):
        answer = peel_text(_open_box(marked)).replace("*", "")
        latin = _latin(answer)
        letter = choices.short(latin) or choices.equal_text(answer)
        if letter is not None:
            return letter
        named = choices.named(latin)
        if named:
            return named[0] if len(named) == 1 and not _NEGATION.search(latin) else None
    return None


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


def _only_filler(before: str, after: str) -> bool:
    if before[-1:].isalnum() or after[:1].isalnum() or not _ALONGSIDE.fullmatch(before + after):
        return False
    if _ASSIGNMENT.fullmatch(before):
        before = ""
    return all(word in _FILLER for word in _WORD.findall(f"{before} {after}"))


def _only(letters: Sequence[str]) -> str | None:
    return letters[0] if len(letters) == 1 else None
