"""Reads a manifest and reports all of its problems at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, cast, get_args, get_origin, get_type_hints

import msgspec
import yaml

from nemo_gym.config.errors import ConfigError, nearest
from nemo_gym.config.manifest import Manifest, rule_problems
from nemo_gym.config.sources import read_yaml
from nemo_gym.config.tree import Tree

MANIFEST: Final = "manifest.yaml"

Place: TypeAlias = tuple[str, ...]
"""Keys from the root; a list's elements are counted from "0"."""


class ManifestError(ConfigError):
    """A manifest can't be used; the message has a line for each problem."""


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        ManifestError: with every problem and its line.
        ConfigError: it is not a mapping in YAML, or is too large.
    """
    document = read_yaml(path)
    problems = list(_type_problems(document, Manifest, ()))
    if not problems:
        manifest = msgspec.convert(document, Manifest)
        problems = list(rule_problems(manifest))
        if not problems:
            return manifest
    raise ManifestError(problem_text(path, problems))


def problem_text(path: Path, problems: Iterable[tuple[Place, str]]) -> str:
    """Problems as text, a line each that begins with the file and the line of the field."""
    root = _compose(path.read_text(encoding="utf-8"))
    lines = [
        (_line(root, place), f"{'.'.join(place)}: {what}" if place else what) for place, what in problems
    ]
    return "\n".join(f"{path}:{line}: {what}" for line, what in sorted(lines))


def nodes_of(text: str) -> dict[str, tuple[int, int]]:
    """Where the top-level entries of a YAML mapping begin and end, in characters, by key."""
    root = _compose(text)
    if not isinstance(root, yaml.MappingNode):
        return {}
    return {key.value: (key.start_mark.index, value.end_mark.index) for key, value in root.value}


def _type_problems(value: Any, kind: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Each field, also of inner objects, that is missing, unknown or of the wrong type."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct) and isinstance(value, dict):
        yield from _field_problems(cast("Tree", value), bare, place)
    elif get_origin(bare) is list and isinstance(value, list) and value:
        (inner,) = get_args(bare)
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _type_problems(item, inner, (*place, str(index)))
    else:
        try:
            msgspec.convert(value, type=kind)
        except msgspec.ValidationError as error:
            yield place, _explain(str(error), value, kind)


def _field_problems(value: Tree, kind: type[msgspec.Struct], place: Place) -> Iterator[tuple[Place, str]]:
    hints = _hints(kind)
    missing = [
        field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in value
    ]
    if missing:
        yield place, f"manifest requires: {', '.join(missing)}"
    for key, item in value.items():
        if key in hints:
            yield from _type_problems(item, hints[key], (*place, key))
        else:
            yield (*place, str(key)), f"there is no such field.{nearest(str(key), hints)}"


@cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _explain(problem: str, value: Any, kind: Any) -> str:
    """The message of msgspec, with the possible values where a field has a fixed set."""
    problem = problem.partition(" - at `")[0]
    choices = [
        str(choice)
        for part in (kind, *get_args(kind))
        for choice in get_args(part)
        if isinstance(choice, str)
    ]
    if not choices:
        return problem if "got" in problem or isinstance(value, list) else f"{problem}, got {value!r}"
    return f"there is no {value!r}: one of {', '.join(choices)}.{nearest(str(value), choices)}"


def _compose(text: str) -> yaml.Node | None:
    return cast("Any", yaml).compose(text, Loader=yaml.SafeLoader)


def _line(node: yaml.Node | None, place: Place) -> int:
    """The line of a field, or of the nearest existing one around it."""
    line = 1
    for key in place:
        match node:
            case yaml.MappingNode(value=entries):
                entry = next(((name, inner) for name, inner in entries if name.value == key), None)
            case yaml.SequenceNode(value=items) if key.isdecimal() and int(key) < len(items):
                entry = (items[int(key)], items[int(key)])
            case _:
                entry = None
        if entry is None:
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
    return line
