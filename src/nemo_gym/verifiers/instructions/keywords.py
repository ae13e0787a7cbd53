"""Instructions about single words: which must, must not, or may so often occur. Case is ignored."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from nemo_gym.verifiers.instructions.registry import Relation, compare, instruction
from nemo_gym.verifiers.instructions.units import (
    EDGES,
    count_text,
    has_word,
    plain_words,
    sentences,
    tokens,
)


@instruction("keywords:existence")
def existence(text: str, *, keywords: list[str]) -> bool:
    return all(count_text(text, keyword) for keyword in keywords)


@instruction("keywords:frequency", "keywords:word_count_different_numbers")
def frequency(text: str, *, keyword: str, frequency: int, relation: Relation) -> bool:
    return compare(count_text(text, keyword), relation, frequency)


@instruction("keywords:forbidden_words")
def forbidden_words(text: str, *, forbidden_words: list[str]) -> bool:
    return not any(has_word(text, word) for word in forbidden_words)


@instruction("keywords:exclude_word_harder")
def exclude_word_harder(text: str, *, keyword: str) -> bool:
    return not has_word(text, keyword)


@instruction("keywords:letter_frequency", "letters:letter_counting2")
def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: Relation) -> bool:
    return compare(text.lower().count(letter.lower()), let_relation, let_frequency)


@instruction("letters:letter_counting")
def letter_counting(text: str, *, N: int, relation: Relation) -> bool:
    return compare(sum(letter.isascii() and letter.isalpha() for letter in text), relation, N)


@instruction("keywords:word_once")
def word_once(text: str, *, keyword: str) -> bool:
    return count_text(text, keyword) == 1


@instruction("count:count_increment_word")
def count_increment_word(text: str, *, keyword1: str, keyword2: str) -> bool:
    return count_text(text, keyword1) == 1 and count_text(text, keyword2) == 2


@instruction("count:keywords_multiple")
def keywords_multiple(
    text: str, *, keyword1: str, keyword2: str, keyword3: str, keyword4: str, keyword5: str
) -> bool:
    """Five words that occur once, twice, three, five and seven times."""
    keywords = (keyword1, keyword2, keyword3, keyword4, keyword5)
    return all(
        count_text(text, keyword) == count for keyword, count in zip(keywords, (1, 2, 3, 5, 7), strict=True)
    )


@instruction("sentence:keyword")
def sentence_keyword(text: str, *, word: str, N: int) -> bool:
    """The N-th sentence contains the word."""
    parts = sentences(text)
    return 1 <= N <= len(parts) and word.lower() in parts[N - 1].lower()


@instruction("words:keywords_specific_position", "keywords:keyword_specific_position")
def keyword_specific_position(text: str, *, keyword: str, n: int, m: int) -> bool:
    """The m-th token of the n-th sentence is the keyword."""
    parts = sentences(text)
    if not (1 <= n <= len(parts) and m >= 1):
        return False
    return tokens(parts[n - 1])[m - 1 : m] == [keyword]


@instruction("words:words_position")
def words_position(text: str, *, keyword: str) -> bool:
    """The second token and the last but one are the keyword."""
    parts = tokens(text)
    return len(parts) > 1 and parts[1] == parts[-2] == keyword


@instruction("keywords:palindrome")
def palindrome(text: str) -> bool:
    return any(len(word) > 2 and word == word[::-1] for word in plain_words(text))


@instruction("keywords:start_end")
def start_end(text: str) -> bool:
    """The first word is also the last one, and no punctuation follows it."""
    parts = text.lower().split()
    return len(parts) > 1 and parts[0].strip(EDGES) == parts[-1] != ""


@instruction("keywords:no_adjacent_consecutive")
def no_adjacent_consecutive(text: str) -> bool:
    """No word begins with the letter of the alphabet after that of the word before."""
    letters = [word[0] for word in plain_words(text)]
    return not any(ord(second) - ord(first) == 1 for first, second in pairwise(letters))


@instruction("words:repeats")
def repeats(text: str, *, small_n: int) -> bool:
    """No word occurs more often than this."""
    return all(count <= small_n for count in Counter(plain_words(text)).values())


@instruction("count:count_unique")
def count_unique(text: str) -> bool:
    parts = plain_words(text)
    return len(parts) == len(set(parts))
