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

    filled = prompt.applied(row)

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
    filled = Prompt("p", "<{value}>").applied({"value": value})
    assert filled["responses_create_params"]["input"] == [{"role": "user", "content": f"<{value}>"}]


@pytest.mark.parametrize("template", ["{a.b}", "{a[0]}", "{}", "{0}", "{a", "a}", "{a:{b}}", "{a!z}"])
def test_a_template_that_refers_to_more_than_a_column_is_refused(template: str) -> None:
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
        Prompt("p", "{q:d}").applied(row)


def test_the_digest_is_that_of_the_texts() -> None:
    assert Prompt("a", "x").digest == Prompt("b", "x").digest != Prompt("a", "x", "y").digest
