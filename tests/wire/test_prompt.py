"""Prompts: what they write, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.prompt import Prompt


def test_the_input_is_made_from_columns_and_everything_else_stays() -> None:
    prompt = Prompt("p.yaml", "{question} in {{braces}}, {count:03d}", "Be {mood}.")
    row = {"question": "Why?", "count": 7, "mood": "brief", "responses_create_params": {"temperature": 0.5}}

    filled = prompt.apply(row)

    assert filled == {
        **row,
        "prompt_config_used": "p.yaml",
        "responses_create_params": {
            "temperature": 0.5,
            "input": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Why? in {braces}, 007"},
            ],
        },
    }
    assert row["responses_create_params"] == {"temperature": 0.5}


@given(st.text() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_what_a_column_holds_is_written_as_it_is(value: Any) -> None:
    filled = Prompt("p", "<{value}>").apply({"value": value})
    assert filled["responses_create_params"]["input"] == [{"role": "user", "content": f"<{value}>"}]


@pytest.mark.parametrize(
    ("template", "text"),
    [("{a[b]}", "1"), ("{l[0]}", "x"), ("{l[1][0]!r}", "'y'"), ("{a[two words]:03d}", "002")],
)
def test_a_template_takes_what_is_in_a_column(template: str, text: str) -> None:
    row = {"a": {"b": 1, "two words": 2}, "l": ["x", ["y"]]}
    assert Prompt("p", template).messages(row) == [{"role": "user", "content": text}]


@pytest.mark.parametrize("template", ["{a[c]}", "{l[7]}"])
def test_a_column_that_lacks_it_says_so(template: str) -> None:
    with pytest.raises(DataError, match="a column lacks what the prompt takes from it"):
        Prompt("p", template).messages({"a": {"b": 1}, "l": []})


def test_an_empty_text_is_a_message_and_none_is_not() -> None:
    user = {"role": "user", "content": ""}
    assert Prompt("p", "", "").messages({}) == [{"role": "system", "content": ""}, user]
    assert Prompt("p", "").messages({}) == [user]


UNREADABLE = ["{a.b}", "{a.__class__}", "{a[b].c}", "{a[{b}]}", "{a[]}", "{}", "{0}", "{0[b]}", "{a", "a}"]


@pytest.mark.parametrize("template", [*UNREADABLE, "{a:{b}}", "{a!z}"])
def test_a_template_that_refers_to_anything_else_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match=r"prompt p\.yaml"):
        Prompt("p.yaml", template)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"q": 1, "responses_create_params": {"input": "hi"}}, "an input of its own"),
        ({"query": 1}, "no column 'q'"),
        ({"q": "text"}, "can't be written"),
    ],
)
def test_a_row_that_does_not_fit_says_why(row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Prompt("p", "{q:d}").apply(row)


def test_the_digest_is_that_of_the_texts() -> None:
    assert Prompt("a", "x").digest == Prompt("b", "x").digest != Prompt("a", "x", "y").digest
