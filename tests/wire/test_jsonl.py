"""JSON bytes and JSONL files."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_strategies import json_objects, json_values

from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode, encode, read_json, read_rows


@given(json_values)
def test_a_value_survives_encoding(value):
    assert decode(encode(value)) == value


@settings(max_examples=20)
@given(st.lists(json_objects, max_size=5))
def test_rows_come_back_with_their_line_numbers(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(b"".join(encode(row) + b"\n\n" for row in rows))
    assert list(read_rows(path)) == [(2 * place + 1, row) for place, row in enumerate(rows)]


def test_a_last_line_without_a_newline_counts(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\r\n \t\n{"a": 2}')
    assert list(read_rows(path)) == [(1, {"a": 1}), (3, {"a": 2})]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{oops}", "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": 1e400}', "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"[1]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    rows = read_rows(path)
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(DataError) as error:
        next(rows)
    assert str(error.value).startswith(f"{path}:2: {message}")


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        next(read_rows(tmp_path / "none.jsonl"))
    with pytest.raises(UsageError, match="can't be read"):
        next(read_rows(tmp_path))


def test_lone_surrogates_become_replacement_characters_and_pairs_become_characters():
    value = {"\ud800": ["a\udfff", {"b": ("\ud83d\ude00", 1.5)}], "ok": "é"}
    assert decode(encode(value)) == {"\ufffd": ["a\ufffd", {"b": ["😀", 1.5]}], "ok": "é"}


@given(st.text(st.characters(exclude_categories=()), max_size=10))
def test_any_string_can_be_encoded(text):
    encoded = decode(encode(text))
    if all(not 0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert encoded == text


def test_a_byte_order_mark_at_the_start_of_a_file_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n')
    assert list(read_rows(path)) == [(1, {"a": 1}), (2, {"a": 2})]
    path.write_bytes(b'\xef\xbb\xbf\n{"a": 2}\n')
    assert list(read_rows(path)) == [(2, {"a": 2})]
    path.write_bytes(b'{"a": 1}\n\xef\xbb\xbf{"a": 2}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:2: not valid JSON"):
        list(read_rows(path))


def test_a_json_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "a.json").write_bytes(mark + b'{\n  "a": [1]\n}\n')
        assert read_json(tmp_path / "a.json") == {"a": [1]}


@pytest.mark.parametrize("content", [b"", b"{oops}", b'{"a": NaN}', b'{"a": "\xff"}', b"[" * 100_000])
def test_a_file_that_is_no_json_is_one_error(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.json: not valid JSON: [^\n]*$"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UsageError, match=r"can't be read \(Is a directory\)"):
        read_json(tmp_path)
