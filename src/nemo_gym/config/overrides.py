"""Changes from the command line: `key=value`, `+key=value`, `++key=value`, `~key`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.inheritance import as_mapping_directive
from nemo_gym.config.tree import MISSING, Path, Tree, as_mapping, child, merge, parse_path, remove
from nemo_gym.config.values import parse_value
from nemo_gym.wire.errors import UsageError

_SHAPE: Final = re.compile(r"(\+\+|\+|~)?([^=\s~+][^=\s]*?)(?:=(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Override:
    """One change: `set` an existing value, `add` one, or `delete` one."""

    change: Literal["set", "add", "delete"]
    path: Path
    value: Any = None

    @property
    def key(self) -> str:
        return ".".join(self.path)


def is_override(word: str) -> bool:
    """Whether a word of the command line is an override."""
    return word.startswith(("+", "~")) or "=" in word


def parse_override(word: str) -> Override:
    """One word of the command line.

    Raises:
        UsageError: it is not an override, or its value can't be read.
    """
    match = _SHAPE.fullmatch(word)
    mark, key, text = match.groups() if match else (None, "", None)
    if not match or (text is None) != (mark == "~") or not all(parse_path(key)):
        raise UsageError(f"{word!r}: expected key=value, +key=value, ++key=value or ~key")
    if text is None:
        return Override("delete", parse_path(key))
    try:
        value = parse_value(text)
    except ValueError as error:
        raise UsageError(f"{key}: {error}") from None
    return Override("add" if mark else "set", parse_path(key), value)


def apply_override(tree: Tree, override: Override) -> Tree:
    """The tree with one change. A mapping is merged into a mapping, as between files; other values replace.

    Raises:
        ConfigError: the key to delete does not exist, or a key on the path is not a mapping.
    """
    if override.change == "delete":
        if not exists(override.path, [tree]):
            raise ConfigError(f"~{override.key}: there is no such key")
        remove(tree, override.path)
        return tree
    return _put(tree, override.path, override.value, override.key)


def exists(path: Path, trees: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of the trees has a value at the path."""
    for node in trees:
        try:
            for key in path:
                node = child(node, key)
        except KeyError:
            continue
        return True
    return False


def _put(node: Any, path: Path, value: Any, key: str) -> Any:
    first, rest = path[0], path[1:]
    if isinstance(node, list):
        items = cast("list[Any]", node)
        if not first.isdecimal() or int(first) >= len(items):
            raise ConfigError(f"{key}: {first!r} is not the index of one of the list's {len(items)} elements")
        index = int(first)
        item = _put(items[index], rest, value, key) if rest else value
        return [*items[:index], item, *items[index + 1 :]]
    mapping = _open(node, key)
    if rest:
        value = _put(mapping.get(first), rest, value, key)
    elif isinstance(mapping.get(first), dict) and isinstance(value, dict):
        value = merge(mapping[first], as_mapping(value))
    return {**mapping, first: value}


def _open(node: Any, key: str) -> Tree:
    mapping = as_mapping_directive(node)
    if mapping is None or mapping == MISSING:
        return {}
    if not isinstance(mapping, dict):
        raise ConfigError(
            f"{key}: a {type(mapping).__name__} is on the way, which has no keys; set it as a whole"
        )
    return cast("Tree", mapping)
