"""Read documents that a model wrote (JSON, YAML, XML, TOML, CSV) as JSON values, with bounded size and depth.

XML and CSV hold only text, so a JSON Schema says what each text is: a number, a truth value, a list.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from typing import Any, Final, Literal, TypeAlias, cast
from xml.etree import ElementTree

import msgspec
import yaml

DocumentType: TypeAlias = Literal["json", "yaml", "xml", "toml", "csv"]
Schema: TypeAlias = Mapping[str, Any]

MAX_DOCUMENT: Final = 50_000
"""The most characters of a document."""
MAX_DEPTH: Final = 64


def read_document(text: str, kind: DocumentType, schema: Schema) -> Any:
    """The JSON value of a document.

    Anchors in YAML and document types in XML are refused, because both can make a small text huge. Dates
    become texts. An element of XML is an object of its children; repeated children are a list.

    Raises:
        ValueError: the text is no document of this kind, or too long or too deep.
    """
    if len(text) > MAX_DOCUMENT:
        raise ValueError(f"a document of {len(text)} characters; {MAX_DOCUMENT} are possible")
    try:
        return plain_value(_READERS[kind](text, schema))
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None


def plain_value(value: Any, depth: int = 0) -> Any:
    """A JSON value with texts for dates.

    Raises:
        ValueError: it is too deep, or has a key that is no text, an infinite number or another type.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} levels")
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case date() | time():
            return value.isoformat()
        case dict():
            items = cast("dict[Any, Any]", value)
            if not all(isinstance(key, str) for key in items):
                raise ValueError("a key is not a text")
            return {key: plain_value(part, depth + 1) for key, part in items.items()}
        case list():
            return [plain_value(part, depth + 1) for part in cast("list[Any]", value)]
        case _:
            raise ValueError(f"no JSON value: {type(value).__name__}")


def _json(text: str, _: Schema) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def _toml(text: str, _: Schema) -> Any:
    if any(line.split("=", 1)[0].count(".") > MAX_DEPTH for line in text.split("\n")):
        raise ValueError(f"a key has more than {MAX_DEPTH} parts")
    return tomllib.loads(text)


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """Reads dates as texts."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in _Base.yaml_implicit_resolvers.items()
}


def _yaml(text: str, _: Schema) -> Any:
    try:
        depth = 0
        for event in cast("Any", yaml).parse(text, Loader=_Base):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ValueError("anchors and aliases of YAML are refused")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} levels")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, OverflowError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _xml(text: str, schema: Schema) -> Any:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("document types of XML are refused")
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 - without a document type there are no entities
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    return _element(root, schema, schema, 0)


def _element(element: ElementTree.Element, schema: Schema, root: Schema, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} levels")
    branches = _branches(schema, root)
    types = _types(branches)
    if "array" in types and "object" not in types:
        item = _items(branches)
        return [_element(child, item, root, depth + 1) for child in element]
    is_scalar = "object" not in types or "null" in types or (element.text or "").strip()
    if not len(element) and not element.attrib and is_scalar:
        return coerce(element.text or "", branches)
    values: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    groups: dict[str, list[ElementTree.Element]] = {}
    for child in element:
        groups.setdefault(child.tag, []).append(child)
        if (child.tail or "").strip():
            values["#text"] = child.tail
    if len(element) and (element.text or "").strip():
        values["#text"] = element.text
    for tag, group in groups.items():
        values[tag] = _group(group, _property(branches, tag), root, depth)
    return values


def _group(group: list[ElementTree.Element], schema: Schema, root: Schema, depth: int) -> Any:
    """The value of the children with one tag. A list is repeated elements, or one that wraps its items."""
    branches = _branches(schema, root)
    if "array" not in _types(branches):
        values = [_element(child, schema, root, depth + 1) for child in group]
        return values[0] if len(values) == 1 else values
    item = _items(branches)
    tags = {child.tag for child in group[0]}
    known = {name for branch in _branches(item, root) for name in branch.get("properties", {})}
    is_wrapper = len(group) == 1 and len(tags) <= 1 and not tags & known and not (group[0].text or "").strip()
    return [_element(child, item, root, depth + 2) for child in (group[0] if is_wrapper else group)]


def _csv(text: str, schema: Schema) -> Any:
    try:
        lines = [row for row in csv.reader(io.StringIO(text.strip("\r\n")), strict=True) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not lines:
        raise ValueError("there is no header")
    header = [name.strip() for name in lines[0]]
    if len(set(header)) < len(header) or not all(header):
        raise ValueError("the names in the header are empty or repeated")
    if any(len(row) != len(header) for row in lines):
        raise ValueError("a row has another number of fields than the header")
    branches = _branches(schema, schema)
    if "array" in _types(branches):
        return _records(header, lines[1:], _items(branches), schema)
    names = [name for branch in branches for name in branch.get("properties", {})]
    if len(names) == 1 and "array" in _types(_branches(_property(branches, names[0]), schema)):
        item = _items(_branches(_property(branches, names[0]), schema))
        return {names[0]: _records(header, lines[1:], item, schema)}
    if len(lines) != 2:
        raise ValueError(f"{len(lines) - 1} rows for one object")
    return _records(header, lines[1:], schema, schema)[0]


def _records(header: list[str], rows: list[list[str]], item: Schema, root: Schema) -> list[dict[str, Any]]:
    branches = _branches(item, root)
    columns = [_branches(_property(branches, name), root) for name in header]
    return [
        {name: coerce(cell, column) for name, cell, column in zip(header, row, columns, strict=True)}
        for row in rows
    ]


def coerce(text: str, branches: list[Schema]) -> Any:
    """A text as the type that the schemas allow; the text itself when it fits none of the others."""
    types = _types(branches)
    word = text.strip()
    literals = [value for branch in branches for value in (*branch.get("enum", ()), branch.get("const"))]
    if text in literals:
        return text
    if "null" in types and word.lower() in ("", "null"):
        return None
    if "boolean" in types and word.lower() in ("true", "false"):
        return word.lower() == "true"
    if types & {"integer", "number"} and _INTEGER.fullmatch(word):
        return int(word)
    if "number" in types and _NUMBER.fullmatch(word):
        return float(word)
    if types & {"array", "object"} and word[:1] in ("[", "{"):
        return _json(word, {})
    return text


_READERS: Final = {"json": _json, "yaml": _yaml, "xml": _xml, "toml": _toml, "csv": _csv}
_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?")
_MAX_BRANCHES: Final = 50


def _branches(schema: Any, root: Schema) -> list[Schema]:
    """The schema with what its local references and its alternatives say."""
    branches: list[Schema] = []
    waiting: list[Any] = [schema]
    while waiting and len(branches) < _MAX_BRANCHES:
        branch = waiting.pop(0)
        if not isinstance(branch, dict):
            continue
        fields = cast("dict[str, Any]", branch)
        branches.append(fields)
        if isinstance(reference := fields.get("$ref"), str):
            waiting.append(_target(reference, root))
        for word in ("anyOf", "oneOf", "allOf"):
            waiting += fields.get(word, [])
    return branches


def _target(reference: str, root: Schema) -> Any:
    target: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        target = cast("dict[str, Any]", target).get(key) if isinstance(target, dict) else None
    return target


def _types(branches: list[Schema]) -> set[str]:
    types: set[str] = set()
    for branch in branches:
        kind = branch.get("type", [])
        types.update([kind] if isinstance(kind, str) else kind)
        if "properties" in branch:
            types.add("object")
    return types


def _property(branches: list[Schema], name: str) -> Schema:
    for branch in branches:
        if name in branch.get("properties", {}):
            return branch["properties"][name]
    return {}


def _items(branches: list[Schema]) -> Schema:
    for branch in branches:
        if isinstance(branch.get("items"), dict):
            return branch["items"]
    return {}
