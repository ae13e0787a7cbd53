"""Outputs of programs that agree, and that don't."""

import pytest

from nemo_gym.verifiers.program_output import same_output


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("6\n", "6"),
        ("  6  \n\n\n", "6\n"),
        ("1 2\r\n3", "1  2\n3"),
        ("0.3333333", "0.333333"),
        ("3.0", "3"),
        ("+3", "3"),
        ("1e3", "1000.0"),
        ("a b", "a\tb"),
        ("100000000.0", "100000000.5"),
    ],
)
def test_the_same_output(output: str, expected: str) -> None:
    assert same_output(output, expected)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "6"),
        ("66", "6"),
        ("6 6", "6"),
        ("6\n6", "6"),
        ("1000000008", "1000000007"),
        ("0.34", "0.33"),
        ("nan", "0.5"),
        ("inf", "1.5"),
        ("1_0", "10"),
        ("６", "6"),
        ("YES", "yes"),
        ("1 2 3", "1 2\n3"),
        ("9" * 1_000_000, "8" * 1_000_000),
        ("1e999", "1e998"),
        ("\ud800\0", "6"),
    ],
)
def test_other_output(output: str, expected: str) -> None:
    assert not same_output(output, expected)
