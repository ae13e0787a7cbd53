"""A configuration as plain dicts and lists: paths, walks and merges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from nemo_gym.config.errors import ConfigError, ConfigInterpolationError
from nemo_gym.wire.safe_text import printable

Tree: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
"""Keys from the root; a list's elements are counted from "0"."""

MISSING: Final = "???"
"""The value of a key that must be set elsewhere."""


def as_mapping(value: Any) -> Tree:
    """The value if it is a mapping, else an empty one."""
    return cast("Tree", value) if isinstance(value, dict) else {}


def parse_path(text: str) -> Path:
    """`a.b.c` as keys."""
    return tuple(text.strip().split("."))


def get(tree: Any, path: Path) -> Any:
    """The value at a path.

    Raises:
        KeyError: with the part of the path that exists.
    """
    node = tree
    for depth, key in enumerate(path):
        try:
            node = child(node, key)
        except KeyError:
            raise KeyError(path[:depth]) from None
    return node


def child(node: Any, key: str) -> Any:
    """One step down: a mapping's value or a list's element.

    Raises:
        KeyError: there is none.
    """
    if isinstance(node, dict):
        return cast("Tree", node)[key]
    if isinstance(node, list):
        items = cast("list[Any]", node)
        if key.isdecimal() and int(key) < len(items):
            return items[int(key)]
    raise KeyError(key)


def keys_at(tree: Any, path: Path) -> list[str]:
    """The keys of the mapping at a path; none when there is no mapping."""
    try:
        return list(as_mapping(get(tree, path)))
    except KeyError:
        return []


def remove(tree: Tree, path: Path) -> None:
    """Remove the value at a path, if there is one."""
    try:
        parent = get(tree, path[:-1])
        child(parent, path[-1])
    except KeyError:
        return
    del parent[path[-1] if isinstance(parent, dict) else int(path[-1])]


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is neither a mapping nor a list, with its path."""
    match node:
        case dict():
            for key, value in cast("Tree", node).items():
                yield from leaves(value, (*path, str(key)))
        case list():
            for index, value in enumerate(cast("list[Any]", node)):
                yield from leaves(value, (*path, str(index)))
        case _:
            yield path, node


def mappings(node: Any, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Every mapping at or below a node, with its path; outer ones first."""
    if isinstance(node, dict):
        yield path, cast("Tree", node)
        for key, value in cast("Tree", node).items():
            yield from mappings(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(cast("list[Any]", node)):
            yield from mappings(value, (*path, str(index)))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """Both trees as one: mappings are merged, and other values of `base` are replaced; `???` replaces
    nothing.

    Raises:
        ConfigError: one has a list where the other has a mapping.
        ConfigInterpolationError: a `${...}` can't be read.
    """
    if not base:
        return to_tree(over)
    try:
        result = OmegaConf.merge(OmegaConf.create(dict(base)), OmegaConf.create(dict(over)))
        return cast("Tree", OmegaConf.to_container(result, resolve=False))
    except GrammarParseError as error:
        raise _unreadable(error) from None
    except (TypeError, OmegaConfBaseException) as error:
        clash = ".".join(_clash(base, over) or ())
        what = f"{clash}: a list in one place, a mapping in another" if clash else _first_line(error)
        raise ConfigError(f"can't be merged: {what}") from None


def to_tree(value: Mapping[str, Any]) -> Tree:
    """A plain copy of a mapping, an OmegaConf one included, with its interpolations left as they are.

    Raises:
        ConfigError: it holds a value that YAML can't express.
        ConfigInterpolationError: a `${...}` can't be read.
    """
    try:
        return cast("Tree", OmegaConf.to_container(OmegaConf.create(cast("Tree", value)), resolve=False))
    except GrammarParseError as error:
        raise _unreadable(error) from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"can't be a configuration: {_first_line(error)}") from None


def to_yaml(tree: Tree) -> str:
    """A plain tree as YAML, in its own order. Characters that steer a terminal are escaped."""
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110)
    if printable(text) == text:
        return text
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=110)


def _unreadable(error: GrammarParseError) -> ConfigInterpolationError:
    return ConfigInterpolationError(f"{error.full_key or 'value'}: can't be read: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _clash(base: Any, over: Any, path: Path = ()) -> Path | None:
    if {type(base), type(over)} == {dict, list}:
        return path
    if isinstance(base, dict) and isinstance(over, dict):
        below, above = cast("Tree", base), cast("Tree", over)
        for key in below.keys() & above.keys():
            if clash := _clash(below[key], above[key], (*path, key)):
                return clash
    return None
