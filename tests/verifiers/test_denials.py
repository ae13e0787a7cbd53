"""Words that deny something, or take it back."""

import pytest

from nemo_gym.verifiers.denials import denies, negates, readable, takes_back, word_set, words_of


@pytest.mark.parametrize(
    "text", ["B is WRONG", "it was ruled out", "I withdraw it", "~~B~~", "❌", "least likely"]
)
def test_a_text_that_calls_something_wrong_denies(text: str) -> None:
    assert denies(text)


@pytest.mark.parametrize("text", ["It isn't B", "none", "anything but B", "other than B", "except B", "!= B"])
def test_a_word_that_reverses_what_stands_beside_it_negates(text: str) -> None:
    assert negates(text)
    assert not denies(text)


@pytest.mark.parametrize("text", ["scratch that", "ignore my answer", "on second thought", "i take it back"])
def test_a_text_can_take_back_what_stood_before(text: str) -> None:
    assert takes_back(text)
    assert not takes_back(f"the {text.split()[-1]} is right")


def test_plain_words_do_neither() -> None:
    text = "the rest is known, and the latest noble result is right"
    assert not denies(text)
    assert not negates(text)
    assert not takes_back(text)


def test_hidden_characters_and_styled_letters_are_made_readable() -> None:
    assert readable("n\u200bo\u00adt 𝐧𝐨𝐭 ｎｏｔ") == "not not not"
    assert words_of("n'est pas, non") == {"n", "est", "pas", "non"}
    assert word_set(" a\n b ") == {"a", "b"}
