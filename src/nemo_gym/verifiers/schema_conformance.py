"""Whether a document conforms to a JSON Schema, which is made strict first."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from nemo_gym.verifiers.documents import MAX_DEPTH, DocumentType, Schema, read_document
from nemo_gym.verifiers.patterns import bounded_pattern
from nemo_gym.wire.errors import UsageError

Problem: TypeAlias = Literal["empty_response", "schema_error", "parse_error", "validation_error"]

MAX_SCHEMA: Final = 50_000
"""The most characters of a schema."""
MAX_REFERENCES: Final = 5_000
"""The most references that one validation follows."""


@dataclass(frozen=True, slots=True)
class Conformance:
    """The result of a check."""

    problem: Problem | None = None
    detail: str = ""

    @property
    def conforms(self) -> bool:
        return self.problem is None


@lru_cache(maxsize=256)
def read_schema(text: str) -> Schema:
    """The schema of a row, made strict.

    References must be local. Patterns run in linear time, so look-around and the like are refused.

    Raises:
        ValueError: it is no JSON Schema, too large, or uses what is refused.
    """
    if len(text) > MAX_SCHEMA:
        raise ValueError(f"the schema has {len(text)} characters; {MAX_SCHEMA} are possible")
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the schema is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ValueError("the schema is not an object")
    fields = cast("dict[str, Any]", schema)
    _check_words(fields, 0)
    library = _library()
    try:
        _dialect(fields).check_schema(fields)
    except library.exceptions.SchemaError as error:
        raise ValueError(f"the schema is not valid: {str(error.message)[:200]}") from None
    return strict_schema(fields)


def strict_schema(schema: Schema) -> dict[str, Any]:
    """The schema with every property of each object required and no other property allowed."""
    strict = deepcopy(dict(schema))
    for part in _parts(strict, 0):
        if isinstance(part.get("properties"), dict):
            part["required"] = list(part["properties"])
            part["additionalProperties"] = False
    return strict


def check_document(text: str, kind: DocumentType, schema: Schema) -> Conformance:
    """Whether a text is, as a whole, a document of this kind that conforms to the schema."""
    if not text.strip():
        return Conformance("empty_response", "there is no text")
    try:
        value = read_document(text, kind, schema)
    except ValueError as error:
        return Conformance("parse_error", str(error)[:200])
    return check_value(value, schema)


def check_value(value: Any, schema: Schema) -> Conformance:
    """Whether a JSON value conforms to the schema."""
    try:
        error = next(_validator(schema).iter_errors(value), None)
    except (RecursionError, _EndlessReferences):
        return Conformance("schema_error", "the references of the schema have no end")
    except (OverflowError, ValueError) as failure:
        return Conformance("validation_error", str(failure)[:200])
    if error is None:
        return Conformance()
    return Conformance("validation_error", f"{error.json_path}: {error.message}"[:200])


class _EndlessReferences(Exception):
    pass


_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "then", "else", "contains", "propertyNames")
_REFUSED = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "$id", "id")


def _parts(schema: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The schema and those in it, without the ones after `not` and `if`, which must not become narrower."""
    if not isinstance(schema, dict):
        return
    fields = cast("dict[str, Any]", schema)
    yield fields
    for word, inner in list(fields.items()):
        if word in _MAPS and isinstance(inner, dict):
            children = list(cast("dict[str, Any]", inner).values())
        elif word in _LISTS or (word == "items" and isinstance(inner, list)):
            children = cast("list[Any]", inner)
        else:
            children = [inner] if word in _SINGLES else []
        for child in children:
            yield from _parts(child, depth + 1)


def _check_words(value: Any, depth: int) -> None:
    """Refuse what would fetch, hang or never end, wherever it stands."""
    if depth > MAX_DEPTH:
        raise ValueError(f"the schema has more than {MAX_DEPTH} levels")
    if isinstance(value, list):
        for part in cast("list[Any]", value):
            _check_words(part, depth + 1)
    if not isinstance(value, dict):
        return
    for key, inner in cast("dict[str, Any]", value).items():
        if key in _REFUSED and not isinstance(inner, dict):
            raise ValueError(f"{key} is not supported in a schema")
        if key == "$ref" and isinstance(inner, str) and inner != "#" and not inner.startswith("#/"):
            raise ValueError(f"$ref {inner[:100]!r} is not local: begin it with #/")
        if key == "pattern" and isinstance(inner, str):
            bounded_pattern(inner, ignore_case=False)
        if key == "patternProperties" and isinstance(inner, dict):
            for pattern in cast("dict[str, Any]", inner):
                bounded_pattern(pattern, ignore_case=False)
        _check_words(inner, depth + 1)


def _library() -> Any:
    try:
        import jsonschema
    except ImportError:
        raise UsageError("JSON Schema needs jsonschema: pip install 'nemo-gym[schemas]'") from None
    return jsonschema


def _dialect(schema: Schema) -> Any:
    library = _library()
    return (
        library.Draft7Validator if "draft-07" in str(schema.get("$schema")) else library.Draft202012Validator
    )


def _validator(schema: Schema) -> Any:
    """A validator that fetches nothing and whose patterns and comparisons take linear time."""
    import referencing

    library, dialect = _library(), _dialect(schema)
    error = library.ValidationError
    rest = MAX_REFERENCES

    def follow(validator: Any, reference: str, instance: Any, part: Any) -> Iterator[Any]:
        nonlocal rest
        rest -= 1
        if rest < 0:
            raise _EndlessReferences
        yield from dialect.VALIDATORS["$ref"](validator, reference, instance, part) or ()

    def pattern(_: Any, source: str, instance: Any, __: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not bounded_pattern(source, ignore_case=False).matches(instance):
            yield error(f"{instance[:100]!r} does not match {source!r}")

    def pattern_properties(validator: Any, patterns: dict[str, Any], instance: Any, _: Any) -> Iterator[Any]:
        for name, value in _fields(instance).items():
            for source, inner in patterns.items():
                if bounded_pattern(source, ignore_case=False).matches(name):
                    yield from validator.descend(value, inner, path=name, schema_path=source)

    def additional(validator: Any, inner: Any, instance: Any, part: Any) -> Iterator[Any]:
        for name, value in _fields(instance).items():
            patterns = part.get("patternProperties", {})
            known = name in part.get("properties", {}) or any(
                bounded_pattern(source, ignore_case=False).matches(name) for source in patterns
            )
            if not known and inner is False:
                yield error(f"the property {name[:100]!r} is not allowed")
            elif not known:
                yield from validator.descend(value, inner, path=name)

    def unique(_: Any, wanted: bool, instance: Any, __: Any) -> Iterator[Any]:
        if wanted and isinstance(instance, list):
            items = cast("list[Any]", instance)
            if len({msgspec.json.encode(item, order="sorted") for item in items}) < len(items):
                yield error("the items are not unique")

    words = {
        "$ref": follow,
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional,
        "uniqueItems": unique,
    }
    return library.validators.extend(dialect, words)(schema, registry=cast("Any", referencing).Registry())


def _fields(instance: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", instance) if isinstance(instance, dict) else {}
