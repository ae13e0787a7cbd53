"""Checks that a tool's parameters are a JSON Schema that model endpoints accept."""

from __future__ import annotations

from typing import Any, Final, cast


def schema_problem(schema: object) -> str | None:
    """The first problem of a tool's parameters, with its place; None without a problem.

    It checks the keywords that model endpoints read (JSON Schema 2020-12, section "Structural validation",
    and `$ref` into `$defs`). Other keywords are allowed, as the standard says.
    """
    if not isinstance(schema, dict):
        return "parameters: expected an object"
    root = cast("dict[str, Any]", schema)
    if root.get("type") != "object":
        return f"parameters.type: expected 'object', got {root.get('type')!r}"
    return _problem(root, "parameters", root, 0)


_TYPES: Final = ("null", "boolean", "object", "array", "number", "string", "integer")
_CHOICES: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAX_DEPTH: Final = 50


def _problem(schema: object, where: str, root: dict[str, Any], depth: int) -> str | None:
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return f"{where}: expected a schema, got {type(schema).__name__}"
    if depth > _MAX_DEPTH:
        return f"{where}: nested deeper than {_MAX_DEPTH} levels"
    fields = cast("dict[str, Any]", schema)
    if problem := _plain_problem(fields, where, root):
        return problem
    for place, inner in _inner_schemas(fields):
        if problem := _problem(inner, f"{where}.{place}", root, depth + 1):
            return problem
    return None


def _plain_problem(fields: dict[str, Any], where: str, root: dict[str, Any]) -> str | None:
    kinds = fields.get("type", [])
    for kind in cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            return f"{where}.type: {kind!r} is not one of {', '.join(_TYPES)}"
    properties = fields.get("properties", {})
    if not isinstance(properties, dict):
        return f"{where}.properties: expected an object"
    required = fields.get("required", [])
    if not isinstance(required, list):
        return f"{where}.required: expected a list of names"
    for name in cast("list[Any]", required):
        if name not in properties:
            return f"{where}.required: {name!r} is not among the properties"
    if "enum" in fields and (not isinstance(fields["enum"], list) or not fields["enum"]):
        return f"{where}.enum: expected a list with at least one value"
    for keyword in _CHOICES:
        if not isinstance(fields.get(keyword, []), list):
            return f"{where}.{keyword}: expected a list of schemas"
    reference = fields.get("$ref")
    if reference is not None and not _resolves(reference, root):
        return f"{where}.$ref: {reference!r} leads nowhere"
    return None


def _inner_schemas(fields: dict[str, Any]) -> list[tuple[str, object]]:
    inner: list[tuple[str, object]] = []
    for keyword in ("properties", "$defs"):
        for name, schema in cast("dict[str, Any]", fields.get(keyword, {})).items():
            inner.append((f"{keyword}.{name}", schema))
    for keyword in ("items", "additionalProperties", "not"):
        if keyword in fields:
            inner.append((keyword, fields[keyword]))
    for keyword in _CHOICES:
        choices = cast("list[Any]", fields.get(keyword, []))
        inner += [(f"{keyword}[{index}]", one) for index, one in enumerate(choices)]
    return inner


def _resolves(reference: object, root: dict[str, Any]) -> bool:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    value: Any = root
    for key in reference.removeprefix("#").split("/")[1:]:
        if not isinstance(value, dict) or key not in value:
            return False
        value = cast("dict[str, Any]", value)[key]
    return True
