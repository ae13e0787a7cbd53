"""Decoding in pieces gives what decoding at once gives, errors too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import DecodeError

from nemo_gym.serving import incremental_json
from nemo_gym.wire.jsonl import decode

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 10**12)
    | st.floats(-5, 5)
    | st.text('[]{}"\\,:é', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text('a[]{}",', max_size=3), inner, max_size=4)
    ),
    max_leaves=40,
)


def result(decoding: Any, text: bytes) -> Any:
    try:
        return decoding(text)
    except (DecodeError, UnicodeError):
        return "an error"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(incremental_json, "PIECE", 16)


@settings(max_examples=200)
@given(VALUES, st.sampled_from([None, 1]))
def test_a_value_is_decoded_as_at_once(value, indent):
    text = json.dumps(value, indent=indent).encode()
    assert incremental_json.decode_pieces(text) == decode(text)


@settings(max_examples=300)
@given(VALUES, st.integers(0, 400), st.sampled_from(["", ",", "[", "]", '"', "x", ",,"]))
def test_damaged_text_is_refused_as_at_once(value, place, change):
    text = json.dumps(value)
    place %= len(text) + 1
    damaged = (text[:place] + change + text[place + 1 :]).encode()
    assert result(incremental_json.decode_pieces, damaged) == result(decode, damaged)


def test_a_long_array_of_numbers_is_complete():
    assert incremental_json.decode_pieces(json.dumps(list(range(5000))).encode()) == list(range(5000))
