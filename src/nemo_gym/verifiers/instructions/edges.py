"""Instructions about how a text, its sentences and its paragraphs begin and end."""

from __future__ import annotations

from itertools import pairwise

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import EDGES, filled_lines, sentences


@instruction("startend:end_checker")
def end_checker(text: str, *, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


@instruction("startend:quotation")
def quotation(text: str) -> bool:
    """The whole text is in double quotation marks."""
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


@instruction("first_word:first_word_answer")
def first_word_answer(text: str, *, first_word: str) -> bool:
    return _first(text) == first_word.lower()


@instruction("first_word:first_word_sent")
def first_word_sent(text: str, *, first_word: str) -> bool:
    return all(_first(sentence) == first_word.lower() for sentence in sentences(text))


@instruction("last_word:last_word_answer")
def last_word_answer(text: str, *, last_word: str) -> bool:
    return _last(text) == last_word.lower()


@instruction("last_word:last_word_sent")
def last_word_sent(text: str, *, last_word: str) -> bool:
    return all(_last(sentence) == last_word.lower() for sentence in sentences(text))


@instruction("words:last_first")
def last_first(text: str) -> bool:
    """The last word of each sentence is the first of the next."""
    parts = [part.strip(EDGES).lower().split() for part in sentences(text)]
    if not all(parts):
        return False
    return all(first[-1] == second[0] for first, second in pairwise(parts))


@instruction("words:paragraph_last_first")
def paragraph_last_first(text: str) -> bool:
    """Each line ends with the word that it begins with."""
    for line in filled_lines(text):
        words = line.strip().lower().strip(EDGES).split()
        if not words or words[0] != words[-1]:
            return False
    return True


def _first(text: str) -> str:
    words = text.split(maxsplit=1)
    return words[0].strip(EDGES).lower() if words else ""


def _last(text: str) -> str:
    words = text.rsplit(maxsplit=1)
    return words[-1].strip(EDGES).lower() if words else ""
