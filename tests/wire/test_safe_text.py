from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.safe_text import escaped_json, is_harmful, printable

ATTACKS = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;title\x07",
    "link": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZWNobyBoaQ==\x07",
    "C1 sequence": "\x9b31mred\x9d52;c;eA==\x9c",
    "carriage return": "shown\rhidden",
    "backspace": "a\b\b",
    "delete": "\x7f",
    "NUL": "\x00",
    "override": "\u202egnp.exe\u202c",
    "isolate": "\u2066x\u2069",
    "marks": "\u200e\u200f\u061c",
    "invisible": "\u200b\u2060\ufeff",
    "tags": "\U000e0041\U000e007f",
    "separators": "\u2028\u2029\x85",
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert not any(is_harmful(character) for character in printable(text))
    assert len(printable(text)) == len(text)
    written = json.dumps(text, ensure_ascii=False)
    assert json.loads(escaped_json(written)) == text
    assert not any(is_harmful(character) for character in escaped_json(written))


@pytest.mark.parametrize(
    "text",
    [
        "a\n\tb",
        "é漢字 עברית العربية",
        "नमस्ते",
        "👩\u200d💻 👍🏽",
        "می\u200cخواهم",
        "a\u00a0b\u3000c",
        "[red]x[/red]",
    ],
)
def test_what_people_write_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert escaped_json(text) == text


@given(st.text())
def test_it_is_done_once(text: str) -> None:
    assert printable(printable(text)) == printable(text)
