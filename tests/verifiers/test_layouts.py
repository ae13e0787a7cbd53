"""Patterns of lines, and citation markers."""

from __future__ import annotations

import pytest

from nemo_gym.verifiers.layouts import check_lines, check_markers, marker_form


def test_each_pattern_needs_so_many_lines() -> None:
    patterns = [r"^a\d$", r"^b"]

    assert check_lines("a1\na2\nb\nb", patterns, 2).holds
    assert check_lines("a1\nb\nb", patterns, 2).reason == "no_match"
    assert check_lines("A1\nb", patterns, 1).reason == "no_match"


def test_markers_are_exactly_the_expected_ones() -> None:
    assert check_markers("x [1] y [2]", ["[1]", "[2]"]).holds
    assert check_markers("x [1]", ["[1]", "[2]"]).reason == "missing_marker"
    assert check_markers("x [1] [3]", ["[1]"]).reason == "spurious_marker"
    assert check_markers("x [01]", ["[1]"]).reason == "missing_marker"
    assert check_markers("x (1) [^2]", ["[^2]"]).holds


@pytest.mark.parametrize("marker", ["", "one", "[]", "1", "[1", "[1][2]", "[" * 6 + "1]"])
def test_a_marker_needs_a_number_with_characters_around_it(marker: str) -> None:
    with pytest.raises(ValueError, match="marker"):
        marker_form(marker)


@pytest.mark.parametrize(
    "text", ["", " \n", "[" * 20_000, "[1" * 10_000, "a\n" * 10_000, "x" * 1_000_000, "\ud800\0"]
)
def test_a_hostile_text_fails(text: str) -> None:
    assert not check_lines(text, [r"^(\w+\s?)*[1]$"], 1).holds
    assert not check_markers(text, ["[1]"]).holds


def test_patterns_that_are_refused_or_missing_are_an_error() -> None:
    for patterns in ([], ["(?=a)"], ["("]):
        with pytest.raises(ValueError, match=r"pattern|regex"):
            check_lines("a", patterns, 1)
    with pytest.raises(ValueError, match="no marker"):
        check_markers("a", [])
