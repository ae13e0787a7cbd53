from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.config.values import format_value, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1_000", 1000),
        ("007", "007"),
        ("1.5", 1.5),
        ("1e-5", 1e-5),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", ""),
        ("no", "no"),
        ("a b, c", "a b, c"),
        ("http://host:1/v1?a=b", "http://host:1/v1?a=b"),
        ("'3'", "3"),
        ('"a\\"b\\n"', 'a"b\\n'),
        ("???", "???"),
        ("${a.b}", "${a.b}"),
        ("[]", []),
        ("[1, a b,'c,d', [x]]", [1, "a b", "c,d", ["x"]]),
        ("[1,]", [1]),
        ("{}", {}),
        ("{a:1,b: {c: [2]}, 'd e': null}", {"a": 1, "b": {"c": [2]}, "d e": None}),
        ("{url: http://h:1/v1}", {"url": "http://h:1/v1"}),
        ("[${oc.select:a,b}, ${c}]", ["${oc.select:a,b}", "${c}"]),
        ("{a: ${b:${c}}}", {"a": "${b:${c}}"}),
    ],
)
def test_text_means_what_it_looks_like(text: str, value: Any) -> None:
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["[1", "{a:1", "{a}", "{:1}", "'a", "[1] 2", '"a"b', "[a}", "[" * 100])
def test_what_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|not closed|more after|nested"):
        parse_value(text)


@given(st.text(alphabet="[]{}:,'\"\\ a1${}.e-", max_size=40))
def test_any_text_has_a_value_or_is_refused(text: str) -> None:
    with suppress(ValueError):
        parse_value(text)


PLAIN = st.text(alphabet="abcxyz", min_size=1, max_size=5).filter(lambda word: word != "null")
VALUES = st.recursive(
    st.integers(-99, 99) | st.booleans() | st.none() | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=10,
)


def written(value: Any) -> str:
    match value:
        case list():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            return "{" + ",".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
        case None | bool():
            return str(value).lower().replace("none", "null")
        case _:
            return str(value)


@given(VALUES)
def test_what_was_written_is_read_back(value: Any) -> None:
    assert parse_value(written(value)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(-1e30, 1e30) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(min_size=1), values, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_formatted_value_is_read_as_itself(value: Any) -> None:
    assert parse_value(format_value(value)) == value
