"""Data sets' regular expressions on model text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.patterns import MAX_TEXT, bounded_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"((?:a+)+)$",
        r"(a*)*b",
        r"(?:a|aa)+$",
        r"(?:a?){40}a{40}",
        r"(?P<x>(a|b)*)",
        r"(?:(?:ab?))*c",
    ],
)
def test_q19_a_repeated_group_with_inner_choices_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="exponential"):
        bounded_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(?:a|a)" * 30, "a?" * 30 + "a" * 30, r"\s*\s*\s*\s*x", ".*a.*b.*c.*d"])
def test_too_many_overlapping_choices_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="overlapping"):
        bounded_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"(a)\1", r"(?P<x>a)(?P=x)", r"(a)?(?(1)b|c)", "a(?#note)", "(?x) a"])
def test_patterns_beyond_the_survey_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        bounded_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{99999999999999999999}"])
def test_an_invalid_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        bounded_pattern(pattern)


def test_a_long_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="1001 characters"):
        bounded_pattern("a" * 1001)


@pytest.mark.parametrize(
    "pattern",
    [
        r"Answer:\s*([A-Z])",
        r"(?i)answer\s*:\s*\(?([A-D])\)?",
        r"\\boxed\{\s*([A-Z])\s*\}",
        r"\*\*Answer:\*\*\s*(.+)",
        r"<answer>\s*([A-J])\s*</answer>",
        r"(?<![A-Za-z])([A-J])(?![A-Za-z])",
        r"(?:the )?answer is[: ]*([A-Z])",
        r"([A-D])",
    ],
)
def test_the_patterns_that_data_sets_use_see_thousands_of_characters(pattern: str) -> None:
    assert bounded_pattern(pattern).window >= 2_000


@pytest.mark.parametrize(
    "pattern",
    [
        r"answer\s*(?:is)?\s*:?\s*\(?([A-Z])\)?",
        r"(?i)answer\s*[:：]?\s*\**\s*\(?([A-J])",
        r".*(?:answer|ANSWER).*?([A-D])\b",
        r".*.*x",
        r"(.*)x",
        r"[\s\S]*?x",
        r"\s+$",
        r"(?:ab)+c",
    ],
)
def test_an_accepted_pattern_ends_on_text_made_to_delay_it(pattern: str) -> None:
    bounded = bounded_pattern(pattern)
    for unit in ("a", " ", "answer" + " " * 300, "answer:", "ab", "\n"):
        bounded.last_match(unit * (MAX_TEXT // len(unit) + 1))
    bounded.last_match("answer" + " " * (bounded.window - 6))


def test_the_last_match_gives_its_first_group_that_took_part() -> None:
    assert bounded_pattern("(x)|(y)").last_match("x y") == "y"
    assert bounded_pattern("x.").last_match("x1 X2") == "X2"
    assert bounded_pattern("z").last_match("x") is None


def test_only_the_end_of_the_text_is_seen() -> None:
    assert bounded_pattern("x").last_match("x" + "y" * MAX_TEXT) is None
    assert bounded_pattern("x").last_match("y" * MAX_TEXT + "x") == "x"


PATTERNS = st.lists(
    st.sampled_from(
        [*"ab.|()*+?^$", "(?:", "[ab]", "[^a]", "\\s", "\\b", "{2}", "{1,3}", "(?=", "\\(", "*?", " "]
    ),
    max_size=10,
).map("".join)


@given(PATTERNS, st.text(alphabet="ab (", max_size=300))
def test_an_accepted_pattern_finds_what_re_finds(pattern: str, text: str) -> None:
    try:
        bounded = bounded_pattern(pattern)
    except ValueError:
        return
    matches = list(re.finditer(pattern, text[-bounded.window :], re.IGNORECASE))
    assert (bounded.last_match(text) is None) == (not matches)
    assert 250 <= bounded.window <= MAX_TEXT
