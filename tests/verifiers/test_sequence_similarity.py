"""The similarity of texts, beside that of difflib."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.verifiers.sequence_similarity import (
    prefix_weighted_similarity,
    sequence_similarity,
    similarity_after_prefix,
    squeezed,
)

GOLD = "The quick brown fox jumps over the lazy dog, and then it sleeps by the river. " * 20


@given(st.text("abc d", max_size=60), st.text("abc d", min_size=1, max_size=60))
def test_it_is_the_ratio_of_difflib(text: str, gold: str) -> None:
    assert sequence_similarity(text, gold) == pytest.approx(SequenceMatcher(None, text, gold).ratio())


@settings(max_examples=10)
@given(st.lists(st.integers(0, len(GOLD) - 1), max_size=20))
def test_it_is_the_ratio_for_long_texts_too(places: list[int]) -> None:
    text = "".join("#" if place in places else one for place, one in enumerate(GOLD))
    assert sequence_similarity(text, GOLD) == pytest.approx(SequenceMatcher(None, text, GOLD).ratio())


def test_equal_texts_are_alike_and_empty_ones_are_not() -> None:
    assert sequence_similarity("x", "x") == sequence_similarity("", "") == 1.0
    assert sequence_similarity("", "x") == sequence_similarity("x", "") == 0.0


def test_a_far_longer_text_is_hardly_alike() -> None:
    assert sequence_similarity(GOLD * 100, GOLD) == pytest.approx(2 / 101, rel=0.01)


def test_the_prefix_must_be_there_and_counts_for_nothing() -> None:
    assert similarity_after_prefix("qXtext", "qXtext", "qX") == 1.0
    assert similarity_after_prefix("text", "qXtext", "qX") == 0.0
    assert similarity_after_prefix("qX", "qXtext", "qX") == 0.0
    assert similarity_after_prefix("qXte", "text", "qX") == pytest.approx(2 / 3)


def test_the_first_ten_characters_have_a_weight() -> None:
    assert prefix_weighted_similarity("abc", "abc") == 1.0
    assert prefix_weighted_similarity("0123456789", "0123456789abcde") == pytest.approx(0.85 * 0.8 + 0.15)


def test_blanks_and_case_are_squeezed() -> None:
    assert squeezed("  A\t\nb  C ") == "a b c"


@pytest.mark.parametrize(
    "text", [*HOSTILE_TEXTS.values(), "z" * 1_000_000, "ab" * 500_000, "zq" * 3000 + GOLD]
)
def test_hostile_text_has_bounded_work(text: str) -> None:
    gold = "".join(chr(ord("a") + (place * 7) % 26) for place in range(199))
    for one in (GOLD, gold, "ab" * 99):
        assert 0.0 <= sequence_similarity(text, one) <= 1.0
