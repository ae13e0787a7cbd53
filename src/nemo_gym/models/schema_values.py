"""Random JSON values that fit a JSON Schema."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, cast

_DEPTH: Final = 8
"""Below this depth a value has no optional parts, and references are not followed."""
_WORDS: Final = ("alpha", "blue", "north", "paper", "river", "seven", "tiny", "yes")


def random_value(schema: object, rng: random.Random) -> Any:
    """A value that fits `schema`: types, enums, ranges, lengths, required fields, unions and references.

    Patterns, formats and conditions between fields are ignored.
    """
    root: Mapping[str, Any] = cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}
    return _value(root, rng, root, 0)


def _value(schema: object, rng: random.Random, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict):
        return rng.choice(_WORDS)
    fields = cast("dict[str, Any]", schema)
    if "const" in fields:
        return fields["const"]
    if fields.get("enum"):
        return rng.choice(fields["enum"])
    if "$ref" in fields:
        return _value(_resolve(fields["$ref"], root), rng, root, depth + 1) if depth < _DEPTH else None
    for union in ("anyOf", "oneOf"):
        if fields.get(union):
            return _value(rng.choice(fields[union]), rng, root, depth + 1)
    kind: Any = fields.get("type", "object" if "properties" in fields else "string")
    match str(rng.choice(cast("list[str]", kind)) if isinstance(kind, list) else kind):
        case "object":
            return _object(fields, rng, root, depth)
        case "array":
            return _array(fields, rng, root, depth)
        case "integer":
            return _integer(fields, rng)
        case "number":
            low, high = _bounds(fields)
            return round(rng.uniform(low, high), 2) if high - low >= 1 else (low + high) / 2
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case _:
            return _string(fields, rng)


def _object(
    fields: dict[str, Any], rng: random.Random, root: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    required: list[str] = fields.get("required") or []
    result: dict[str, Any] = {}
    properties: dict[str, Any] = fields.get("properties") or {}
    for name, field in properties.items():
        if name in required or (depth < _DEPTH and rng.random() < 0.5):
            result[name] = _value(field, rng, root, depth + 1)
    return result


def _array(fields: dict[str, Any], rng: random.Random, root: Mapping[str, Any], depth: int) -> list[Any]:
    least = fields.get("minItems", 0)
    most = min(fields.get("maxItems", least + 2), least + 2)
    count = least if depth >= _DEPTH else rng.randint(least, most)
    return [_value(fields.get("items", {}), rng, root, depth + 1) for _ in range(count)]


def _integer(fields: dict[str, Any], rng: random.Random) -> int:
    low, high = _bounds(fields)
    first, last = -int(-low // 1), int(high // 1)
    first += fields.get("exclusiveMinimum") == first
    last -= fields.get("exclusiveMaximum") == last
    step = fields.get("multipleOf")
    if isinstance(step, int) and step > 0:
        return step * rng.randint(-(-first // step), max(-(-first // step), last // step))
    return rng.randint(first, max(first, last))


def _bounds(fields: dict[str, Any]) -> tuple[float, float]:
    low = fields.get("minimum", fields.get("exclusiveMinimum"))
    high = fields.get("maximum", fields.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None or high > 0 else high - 10
    return low, low + 10 if high is None else high


def _string(fields: dict[str, Any], rng: random.Random) -> str:
    least = fields.get("minLength", 0)
    text = rng.choice(_WORDS)
    text += "x" * (least - len(text))
    return text[: fields.get("maxLength", len(text))]


def _resolve(reference: object, root: Mapping[str, Any]) -> object:
    node: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        if not isinstance(node, Mapping):
            return None
        node = cast("Mapping[str, Any]", node).get(part.replace("~1", "/").replace("~0", "~"))
    return node
