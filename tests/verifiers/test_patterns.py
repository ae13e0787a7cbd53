"""Data sets' regular expressions on model text."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers import patterns
from nemo_gym.verifiers.patterns import (
    MAX_PATTERNS,
    MAX_STEPS,
    MAX_TEXT,
    bounded_pattern,
    check_patterns,
    last_match,
)


@pytest.mark.parametrize(
    "pattern",
    [
        r"((?:a+)+)$",
        r"(a*)*b",
        r"(?:a|aa)+$",
        r"(?:a?){40}a{40}b",
        r"(?P<x>(a|b)*)c",
        r"(?:(?:ab?))*c",
        "(?:a|a)" * 30 + "$",
        r"\s*\s*\s*\s*x",
        ".*a.*b.*c.*d",
        "а*а*а*а*б",
        "(?:а|аа)+$",
        r"[一-龥]*[一-龥]*[一-龥]*[一-龥]*x",
        r"[\u4e00-\u9fa5]*[\u4e00-\u9fa5]*[\u4e00-\u9fa5]*x",
        r"\w*\w*\w*\w*\w*\.",
        r"[^x]*[^x]*[^x]*[^x]*x",
    ],
)
def test_q09_q19_patterns_that_take_forever_elsewhere_end_at_once_on_any_letters(pattern: str) -> None:
    bounded = bounded_pattern(pattern)
    for unit in ("a", "а", "中", "é", "ab", "аб", " ", "1", "😀"):
        bounded.last_match(unit * MAX_TEXT + "!")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "back-references"),
        (r"(?P<x>a)(?P=x)", "back-references"),
        (r"(?<![A-Za-z])([A-J])(?![A-Za-z])", "look-around"),
        (r"(?=a)b", "look-around"),
        (r"a(?!b)", "look-around"),
        (r"(?<=: )a", "look-around"),
        (r"(a)?(?(1)b|c)", "conditions"),
        ("(?>a)b", "atomic groups"),
        ("a++b", "possessive"),
        ("a{2,3}+b", "possessive"),
        ("a(?#note)", "comments"),
        ("(?x) a", "verbose mode"),
        (r"\Qa.b\E", "escape"),
    ],
)
def test_what_the_linear_engine_can_not_express_is_refused_by_its_name(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        bounded_pattern(pattern)
    assert repr(pattern) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{99999999999999999999}", "\ud800", "[z-a]"])
def test_an_invalid_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        bounded_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a{100}){100}", r"\w{900}", r"(?:\w{40}x){20}", r"a{5000}"])
def test_a_pattern_that_repeats_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="repeat"):
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
        r"\b([A-J])\b",
        r"(?:the )?answer is[: ]*([A-Z])",
        r"([A-D])",
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
def test_the_patterns_that_data_sets_use_end_on_text_made_to_delay_them(pattern: str) -> None:
    bounded = bounded_pattern(pattern)
    for unit in ("a", " ", "answer" + " " * 300, "answer:", "ab", "\n"):
        bounded.last_match(unit * (MAX_TEXT // len(unit) + 1))
    bounded.last_match("answer" + " " * (MAX_TEXT - 6))


def test_the_last_match_gives_its_first_group_that_took_part() -> None:
    assert bounded_pattern("(x)|(y)").last_match("x y") == "y"
    assert bounded_pattern("x.").last_match("x1 X2") == "X2"
    assert bounded_pattern("z").last_match("x") is None


def test_only_the_end_of_the_text_is_seen() -> None:
    assert bounded_pattern("x").last_match("x" + "y" * MAX_TEXT) is None
    assert bounded_pattern("x").last_match("y" * MAX_TEXT + "x") == "x"


def test_the_first_pattern_that_matches_decides() -> None:
    assert last_match(["z", "x.", "y."], "y0 x1 x2") == "x2"
    assert last_match([], "x") is None


def test_all_patterns_of_one_answer_share_one_budget() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_PATTERNS}"):
        check_patterns(["a"] * (MAX_PATTERNS + 1))
    with pytest.raises(ValueError, match="too large together"):
        check_patterns([rf"\w{{30}}{n}" for n in range(MAX_PATTERNS)])


LARGE = "|".join(f"[ab]{{0,{999 - n}}}c{n}" for n in range(20))
"""One search of it takes seconds on a long text of its own letters."""


def test_a_pattern_too_large_for_a_text_is_refused_before_it_is_searched() -> None:
    with pytest.raises(ValueError, match="is too large for an answer of 10000 characters"):
        last_match([LARGE], "ab" * (MAX_TEXT // 2))
    assert last_match([LARGE], "abc7") == "abc7"


def test_the_size_that_counts_is_that_for_the_letters_of_the_text() -> None:
    pattern = r"(\w{1,20}) is right"
    assert bounded_pattern(pattern).size * MAX_TEXT > MAX_STEPS
    assert last_match([pattern], "x" * MAX_TEXT + " Four is right") == "Four"
    assert last_match([pattern], "Четыре is right") == "Четыре"


def test_patterns_that_take_too_long_on_a_text_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "(?:[ab]*(a)[ab]{900}c|(a))"  # many matches, each after a look at all that follows
    monkeypatch.setattr(patterns, "MAX_SECONDS", 0.001)
    with pytest.raises(ValueError, match=r"processor time, the limit for one answer"):
        last_match(["never", slow], "aabab" * MAX_TEXT)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(\w+)$", "Ответ: гелий\n"),
        (r"Ответ:\s*(\w+)", "ответ:\u2003ГЕЛИЙ"),
        (r"[^\W\d_]+", "12_гелий_"),
        (r"\d+", "٤٢ and ৪২"),
        (r"\D+", "4٢x"),
        (r"[\d-]+", "٤-٢"),
        (r"\W+", "гелий… «b"),
        (r"[\W]+", "гелий‿b"),
        (r"\S+", "a\u3000б"),
        (r"[\S]+", "a\u3000б"),
        (r"[\s\S]+", "a\u3000б\n"),
        (r"x{,2}y", "xxxy"),
        (r"y\Z", "xyy"),
        (r"y$", "y\n"),
        (r"(?m)^b$", "a\nb\nc"),
        (r"[[:alpha:]]", "x:]"),
        (r"[]a]+", "b]a"),
        (r"\u0431", "абв"),
        (r"[\u0430-\u0432]+", "абв"),
        (r"\.\-\:\/\<", ".-:/<"),
        (r"(?P<name>b)|a", "ab"),
    ],
)
def test_a_pattern_means_what_it_means_to_re(pattern: str, text: str) -> None:
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        matches = list(re.finditer(pattern, text, re.IGNORECASE))
    expected = (
        next((group for group in matches[-1].groups() if group), matches[-1].group()) if matches else None
    )
    found = bounded_pattern(pattern).last_match(text)
    assert (found and found.rstrip("\n")) == (expected and expected.rstrip("\n"))


def test_lone_surrogates_match_nothing_but_a_dot() -> None:
    assert bounded_pattern("a.b").last_match("a\ud800b") == "a\ufffdb"


PATTERNS = st.lists(
    st.sampled_from([*"abб.|()*+?^$", "(?:", "[ab]", "[^a]", "\\s", "\\w", "{2}", "{1,3}", "\\(", "*?", " "]),
    max_size=10,
).map("".join)


@given(PATTERNS, st.text(alphabet="ab (бBБ", max_size=12))
def test_an_accepted_pattern_finds_what_re_finds(pattern: str, text: str) -> None:
    try:
        bounded = bounded_pattern(pattern)
        expected = re.search(pattern, text, re.IGNORECASE)
    except (ValueError, re.error):
        return
    assert (bounded.last_match(text) is None) == (expected is None)
