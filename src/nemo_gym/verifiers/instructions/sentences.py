"""Instructions that hold for each sentence, or for neighbouring sentences."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import sentences, without_punctuation
from nemo_gym.wire.errors import UsageError


@instruction("sentence:increment")
def increment(text: str, *, small_n: int) -> bool:
    """Each sentence has exactly this many words more than the one before."""
    lengths = [len(without_punctuation(sentence).split()) for sentence in sentences(text)]
    return all(second == first + small_n for first, second in pairwise(lengths))


@instruction("format:emoji")
def emoji(text: str) -> bool:
    """An emoji ends each sentence; it may stand after the mark, as the first character of the next one."""
    is_emoji = _emoji()
    plain = [without_punctuation(sentence).strip() for sentence in sentences(text)]
    for sentence, following in zip(plain, [*plain[1:], ""], strict=True):
        if not sentence:
            return False
        if not any(is_emoji(letter) for letter in (*sentence[-2:], *following[:1])):
            return False
    return True


@instruction("custom:sentence_alphabet")
def sentence_alphabet(text: str) -> bool:
    """26 sentences that begin with the letters of the alphabet."""
    parts = sentences(text)
    return "".join(part[0].lower() for part in parts) == "abcdefghijklmnopqrstuvwxyz"


@cache
def _emoji() -> Any:
    try:
        import emoji as library
    except ImportError:
        raise UsageError(
            "instructions about emoji need emoji: pip install 'nemo-gym[instructions]'"
        ) from None
    return library.is_emoji
