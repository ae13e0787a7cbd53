"""Documents against JSON Schemas, hostile ones included."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemo_gym.verifiers.documents import DocumentType
from nemo_gym.verifiers.schema_conformance import check_document, check_value, read_schema, strict_schema

KINDS: tuple[DocumentType, ...] = ("json", "yaml", "xml", "toml", "csv")


def schema(**properties: Any) -> Any:
    return read_schema(json.dumps({"type": "object", "properties": properties}))


def test_every_property_is_required_and_no_other_allowed() -> None:
    strict = schema(a={"type": "object", "properties": {"b": {"type": "integer"}}})

    assert check_value({"a": {"b": 1}}, strict).conforms
    assert check_value({"a": {}}, strict).problem == "validation_error"
    assert check_value({"a": {"b": 1, "c": 2}}, strict).problem == "validation_error"


def test_a_condition_does_not_become_narrower() -> None:
    loose = {"if": {"properties": {"a": {"const": 1}}}, "then": {"properties": {"b": {}}}}

    strict = strict_schema(loose)

    assert strict["if"] == loose["if"]
    assert strict["then"]["required"] == ["b"]


@pytest.mark.parametrize(
    ("definition", "right", "wrong"),
    [
        ({"type": "string", "pattern": "^[A-Z]+$"}, "AB", "Ab"),
        ({"type": "array", "uniqueItems": True}, [1, {"a": 1}], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]),
        ({"type": ["integer", "null"]}, None, "1"),
        (
            {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
            {"x1": 1},
            {"y": 1},
        ),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"y": "a"}, {"x": "a"}),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "b"}),
        ({"type": "integer"}, 10**30, True),
    ],
)
def test_a_word_of_the_schema_is_checked(definition: dict[str, Any], right: Any, wrong: Any) -> None:
    strict = read_schema(json.dumps(definition))

    assert check_value(right, strict).conforms
    assert not check_value(wrong, strict).conforms


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"type": "thing"}, "not valid"),
        ([], "not an object"),
        ({"$ref": "http://localhost/a"}, "not local"),
        ({"$ref": "other.json"}, "not local"),
        ({"$id": "http://localhost/a"}, "not supported"),
        ({"unevaluatedProperties": False}, "not supported"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"patternProperties": {"(a)\\1": {}}}, "back-references"),
    ],
)
def test_an_unusable_schema_is_refused(definition: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_schema(json.dumps(definition))


def test_a_schema_that_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match="characters"):
        read_schema(" " * 60_000)
    with pytest.raises(ValueError, match="levels"):
        read_schema('{"not":' * 100 + "{}" + "}" * 100)
    with pytest.raises(ValueError, match="not JSON"):
        read_schema("[" * 40_000)


def test_references_without_end_are_a_fault_of_the_schema() -> None:
    for definition in ({"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}):
        assert check_value({}, read_schema(json.dumps(definition))).problem == "schema_error"


def test_xml_and_csv_take_their_types_from_the_schema() -> None:
    strict = schema(n={"type": "integer"}, x={"type": "number"}, b={"type": "boolean"}, s={"type": "string"})

    assert check_document("<r><n>1</n><x>2.5</x><b>true</b><s>7</s></r>", "xml", strict).conforms
    assert check_document("n,x,b,s\n1,2.5,false,7", "csv", strict).conforms
    assert not check_document("<r><n>1.5</n><x>2</x><b>1</b><s>7</s></r>", "xml", strict).conforms
    assert not check_document("n,x,b,s\none,2.5,false,7", "csv", strict).conforms


@pytest.mark.parametrize(
    "text",
    [
        "<r><v>1</v><v>2</v></r>",
        "<r><v><i>1</i><i>2</i></v></r>",
        "<r><v/></r>",
        "<r><v>1</v></r>",
    ],
)
def test_a_list_of_xml_is_repeated_or_wrapped(text: str) -> None:
    assert check_document(text, "xml", schema(v={"type": "array", "items": {"type": "integer"}})).conforms


@pytest.mark.parametrize("text", ["<r a='1'><v>1</v></r>", "<r>text<v>1</v></r>", "<r><v>1</v>text</r>"])
def test_attributes_and_loose_text_of_xml_are_no_properties(text: str) -> None:
    assert not check_document(text, "xml", schema(v={"type": "integer"})).conforms


def test_a_csv_needs_one_header_and_rows_of_its_width() -> None:
    rows = read_schema(json.dumps({"type": "array", "items": {"properties": {"a": {"type": "integer"}}}}))

    assert check_document("a\n1\n2", "csv", rows).conforms
    for text in ("a,a\n1,2", "a\n1,2", ",\n1,2", 'a\n"1', "a,b\n1,2"):
        assert not check_document(text, "csv", rows).conforms
    assert check_document("a\n1", "csv", schema(r={"type": "array", "items": rows["items"]})).conforms


def test_dates_are_texts() -> None:
    day = schema(day={"type": "string"})

    assert check_document("day: 2020-01-01", "yaml", day).conforms
    assert check_document("day = 2020-01-01", "toml", day).conforms


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "\ud800",
        "x" * 1_000_000,
        "[" * 40_000,
        '{"a":' * 8_000,
        "<a>" * 15_000,
        "a.b." * 12_000,
        "- " * 20_000,
        "a: &a [1]\nb: *a",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "!!python/name:os.system",
        "a = " + "9" * 5_000,
        "a: .inf",
        "1: 2",
        ",\n" * 20_000,
        '"' * 40_000,
    ],
    ids=range(16),
)
def test_a_hostile_document_never_conforms(kind: DocumentType, text: str) -> None:
    assert not check_document(text, kind, schema(a={"type": "integer"})).conforms
