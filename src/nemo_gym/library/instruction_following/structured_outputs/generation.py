"""Schemas with a value that conforms to each, and the value as a document."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any, Final, NamedTuple, cast
from xml.sax.saxutils import escape

import yaml

from nemo_gym.verifiers.documents import DocumentType

SUBJECTS: Final = (
    "a museum",
    "a ferry",
    "a garden",
    "a library",
    "a bakery",
    "a school",
    "a lighthouse",
    "a market stall",
    "a railway station",
    "a choir",
    "a chess club",
    "a weather station",
)
_NAMES: Final = (
    "name title city colour size weight owner status code price count year rating height width note kind "
    "origin level region phase route label grade shift zone batch season format mode"
)
_PARTS: Final = "place contact plan budget history service"
_LISTS: Final = "items visits events members reports"
_WORDS: Final = "amber north plain quiet river small stone sunny upper winter"


class Sample(NamedTuple):
    """A schema and a value that conforms to it."""

    schema: dict[str, Any]
    value: Any


def sample(rng: random.Random, level: int, kind: DocumentType) -> Sample:
    """An object; for CSV a list of flat objects."""
    if kind == "csv":
        row = _object(rng, level, 0)
        count = rng.randint(1, 1 + level)
        return Sample({"type": "array", "minItems": count, "items": row.schema}, [row.value] * count)
    return _object(rng, level, max(0, level - 1))


def document(value: Any, kind: DocumentType) -> str:
    """The value as a document."""
    match kind:
        case "json":
            return json.dumps(value, indent=2)
        case "yaml":
            return yaml.safe_dump(value, sort_keys=False)
        case "xml":
            return f"<root>{_xml(value)}</root>"
        case "toml":
            return "\n".join(f"{key} = {_toml(part)}" for key, part in value.items())
        case "csv":
            return _csv(value)


def _object(rng: random.Random, level: int, depth: int) -> Sample:
    names = rng.sample(_NAMES.split(), rng.randint(2, 2 + level))
    fields = {name: _scalar(rng, level) for name in names}
    if depth:
        part, items = rng.choice(_PARTS.split()), rng.choice(_LISTS.split())
        fields[part] = _object(rng, level, depth - 1)
        fields[items] = _list(rng, level, depth - 1)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: field.schema for name, field in fields.items()},
    }
    return Sample(schema, {name: field.value for name, field in fields.items()})


def _list(rng: random.Random, level: int, depth: int) -> Sample:
    item = _object(rng, min(level, 2), 0) if depth else _scalar(rng, level)
    return Sample(
        {"type": "array", "minItems": 1, "maxItems": rng.randint(3, 6), "items": item.schema}, [item.value]
    )


def _scalar(rng: random.Random, level: int) -> Sample:
    word = rng.choice(_WORDS.split())
    low = rng.randint(0, 50)
    choices = [
        Sample({"type": "string"}, word),
        Sample({"type": "integer"}, low),
        Sample({"type": "boolean"}, True),
        Sample({"type": "number"}, low + 0.5),
    ]
    if level > 0:
        choices += [
            Sample({"type": "string", "enum": sorted({*rng.sample(_WORDS.split(), 3), word})}, word),
            Sample({"type": "integer", "minimum": low, "maximum": low + rng.randint(5, 50)}, low + 1),
        ]
    if level > 2:
        letters = rng.randint(2, 4)
        code = "KLMN"[:letters]
        choices += [
            Sample({"type": "string", "pattern": f"^[A-Z]{{{letters}}}-[0-9]{{3}}$"}, f"{code}-123"),
            Sample({"type": "string", "minLength": 5, "maxLength": rng.randint(8, 20)}, "winter"),
            Sample({"type": "integer", "multipleOf": low + 2}, 3 * (low + 2)),
        ]
    return rng.choice(choices)


def _xml(value: dict[str, Any]) -> str:
    return "".join(_element(key, part) for key, part in value.items())


def _element(tag: str, value: Any) -> str:
    match value:
        case list():
            return "".join(_element(tag, part) for part in cast("list[Any]", value))
        case dict():
            return f"<{tag}>{_xml(cast('dict[str, Any]', value))}</{tag}>"
        case _:
            return f"<{tag}>{escape(_text(value))}</{tag}>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _toml(value: Any) -> str:
    match value:
        case list():
            return f"[{', '.join(map(_toml, cast('list[Any]', value)))}]"
        case dict():
            parts = (f"{key} = {_toml(part)}" for key, part in cast("dict[str, Any]", value).items())
            return "{" + ", ".join(parts) + "}"
        case _:
            return json.dumps(value)


def _csv(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(rows[0])
    writer.writerows([_text(value) for value in row.values()] for row in rows)
    return stream.getvalue()
