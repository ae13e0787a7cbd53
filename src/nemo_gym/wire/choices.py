"""Error messages for values that msgspec refuses, with the valid values."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, Final, get_args, get_type_hints

import msgspec

_ENUM: Final = re.compile(r"Invalid enum value (?P<value>'[^']*'|\d+)(?: - at `\$(?P<path>[^`]*)`)?")

_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]*)`$")


def explain_misfit(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> str:
    """The message of an error in a conversion to a struct, for a choice with its values."""
    text = str(error)
    match = _ENUM.search(text)
    if match is None:
        return text
    values = [str(value) for value in _values(kind, re.findall(r"\.(\w+)|\[", match["path"] or ""))]
    near = get_close_matches(match["value"].strip("'"), values, n=1, cutoff=0.6)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    listed = f": one of {', '.join(values)}{hint}" if values else ""
    return text.replace(
        f"Invalid enum value {match['value']}", f"Invalid enum value {match['value']}{listed}"
    )


def unknown_field(error: msgspec.ValidationError) -> str:
    """The name of an unknown field, if the error is about one."""
    unknown = _UNKNOWN.search(str(error))
    return unknown["name"] if unknown else ""


def nearest_field(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> str:
    """`. Did you mean 'x'?` for an unknown field of a struct with a similar name, else an empty string."""
    unknown = unknown_field(error)
    near = get_close_matches(unknown, kind.__struct_encode_fields__, n=1) if unknown else []
    return f". Did you mean {near[0]!r}?" if near else ""


def _values(kind: Any, path: list[str]) -> list[Any]:
    """The values of the choice at a path of fields; an empty name means an element of a list or map."""
    for name in path:
        if not name:
            kind = next(iter(get_args(_bare(kind))[-1:]), None)
            continue
        bare = _bare(kind)
        if not (isinstance(bare, type) and issubclass(bare, msgspec.Struct)):
            return []
        fields = dict(zip(bare.__struct_encode_fields__, bare.__struct_fields__, strict=True))
        kind = get_type_hints(bare, include_extras=True).get(fields.get(name, name))
    return [value for value in _leaves(kind) if isinstance(value, (str, int))]


def _bare(kind: Any) -> Any:
    """A type without None and annotations."""
    if hasattr(kind, "__metadata__"):
        return _bare(kind.__origin__)
    inner = [one for one in get_args(kind) if one is not type(None)]
    return _bare(inner[0]) if type(None) in get_args(kind) and len(inner) == 1 else kind


def _leaves(kind: Any) -> list[Any]:
    return [leaf for one in get_args(kind) for leaf in (_leaves(one) or [one])]
