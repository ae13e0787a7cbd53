"""Instructions about the length of a text and its paragraphs."""

from __future__ import annotations

import re

from nemo_gym.verifiers.instructions.registry import Relation, compare, instruction
from nemo_gym.verifiers.instructions.units import (
    blocks,
    count_sentences,
    sentences,
    word_runs,
)


@instruction("length_constraints:number_words")
def number_words(text: str, *, num_words: int, relation: Relation) -> bool:
    return compare(len(word_runs(text)), relation, num_words)


@instruction("count:word_count_range")
def word_count_range(text: str, *, min_words: int, max_words: int) -> bool:
    return min_words <= len(word_runs(text)) <= max_words


@instruction("length_constraints:number_sentences")
def number_sentences(text: str, *, num_sentences: int, relation: Relation) -> bool:
    return compare(count_sentences(text), relation, num_sentences)


@instruction("length_constraints:number_paragraphs")
def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """The number of paragraphs between lines of `***`, none of which is empty."""
    parts = _starred(text)
    return len(parts) == num_paragraphs and all(part.strip() for part in parts)


@instruction("paragraphs:paragraphs")
def two_starred_paragraphs(text: str) -> bool:
    return number_paragraphs(text, num_paragraphs=2)


@instruction("paragraphs:paragraphs2")
def two_paragraphs(text: str) -> bool:
    return len(blocks(text)) == 2


@instruction("length_constraints:nth_paragraph_first_word")
def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """The number of paragraphs between blank lines, and the first word of one of them."""
    parts = text.split("\n\n")
    if not 1 <= nth_paragraph <= num_paragraphs or len(blocks(text)) != num_paragraphs:
        return False
    leading = parts[nth_paragraph - 1].split(maxsplit=1)
    word = leading[0].lstrip("'\"") if leading else ""
    end = _WORD_END.search(word)
    return (word[: end.start()] if end else word).lower() == first_word.lower() != ""


@instruction("count:counting_composition")
def counting_composition(text: str, *, n_sent: int, n_words: int) -> bool:
    """Three paragraphs between `* * *`, each with this many sentences of this many words."""
    parts = _starred(text.replace("* * *", "***"))
    return len(parts) == 3 and all(
        len(lines := sentences(part)) == n_sent and all(len(word_runs(line)) == n_words for line in lines)
        for part in parts
    )


_WORD_END = re.compile(r"[.,?!'\"]")


def _starred(text: str) -> list[str]:
    """The parts between `***`, without an empty one at the start and at the end."""
    parts = text.split("***")
    first = 0 if parts[0].strip() else 1
    last = len(parts) if len(parts) == 1 or parts[-1].strip() else -1
    return parts[first:last]
