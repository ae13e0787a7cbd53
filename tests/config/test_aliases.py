"""Documents that become huge when their aliases are written out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import yaml

from nemo_gym.config.aliases import MAX_NODES, check_aliases
from nemo_gym.config.errors import ConfigError

TEN = f"a: &a [{', '.join('x' * 10)}]\n"


def test_aliases_that_stay_small_are_fine() -> None:
    check_aliases(TEN + "b: [*a, *a]\nc: {<<: {d: *a}}\n")
    check_aliases("")
    check_aliases("text: 2 * 3\n")


def doubled(pattern: str) -> str:
    """A document in which every line has the one before it twice."""
    names = "abcdefghijklmnopq"
    return TEN + "".join(pattern.format(old=old, new=new) for old, new in pairwise(names))


@pytest.mark.parametrize(
    "text",
    [
        TEN + f"b: [{', '.join(['*a'] * (MAX_NODES // 10))}]",
        doubled("{new}: &{new} [*{old}, *{old}]\n"),
        doubled("{new}: &{new} {{p: *{old}, ? *{old} : q}}\n"),
    ],
    ids=["wide", "doubled", "keys"],
)
def test_those_that_become_huge_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expansion exceeds 100,000 values"):
        check_aliases(text)


def test_what_contains_itself_is_refused_with_its_place() -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="recursive") as caught:
        check_aliases("b: 1\na: &a [*a]\n")
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line == 1
