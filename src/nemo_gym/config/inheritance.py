"""The directives `inherit_from`, `copy` and `_delete_key`, which reuse or remove parts of a configuration."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Final, Literal, cast

from nemo_gym.config.errors import ConfigError, InheritPathNotFoundError
from nemo_gym.config.tree import MISSING, Path, Tree, as_mapping, child, merge, parse_path, remove
from nemo_gym.wire.errors import did_you_mean

MAX_MAPPINGS: Final = 50_000
"""The most mappings that a tree may grow to: copies of copies double it at every step."""

_TEXT: Final = re.compile(r"\$\{(inherit_from|copy):\s*([^${}]+?)\s*\}")
_KEYS: Final[dict[str, Literal["inherit_from", "copy"]]] = {"_inherit_from": "inherit_from", "_copy": "copy"}
_DELETE: Final = "_delete_key"


def apply_directives(tree: Tree) -> Tree:
    """A new tree after every directive, without the sources of `inherit_from`.

    A source may have directives itself, in any order of the keys.

    Raises:
        InheritPathNotFoundError: a directive names a path that isn't there.
        ConfigError: a directive is malformed, leads to itself, or deletes a key that isn't there.
    """
    work = _Work(tree)
    result = cast("Tree", work.apply(tree, ()))
    for path in work.sources:
        remove(result, path)
    return result


def as_mapping_directive(node: Any) -> Any:
    """`${copy:a.b}` as `{_copy: a.b}`, to which keys can be added; anything else as it is."""
    match = _TEXT.fullmatch(node) if isinstance(node, str) else None
    return {f"_{match[1]}": match[2]} if match else node


class _Work:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._mappings = 0
        self._open: list[str] = []
        self.sources: list[Path] = []

    def apply(self, node: Any, path: Path) -> Any:
        if isinstance(node, list):
            items = cast("list[Any]", node)
            return [self.apply(item, (*path, str(index))) for index, item in enumerate(items)]
        if isinstance(node, str) and (match := _TEXT.fullmatch(node)):
            return self._value(match[1], match[2], path)
        if isinstance(node, dict):
            return self._mapping(dict(cast("Tree", node)), path)
        return node

    def _mapping(self, node: Tree, path: Path) -> Any:
        self._spend(path)
        sources = [(verb, node.pop(key)) for key, verb in _KEYS.items() if key in node]
        deletions = _names(node.pop(_DELETE, ""), path)
        late = [name for name in deletions if name not in node]
        mapping: Any = {
            key: self.apply(value, (*path, str(key))) for key, value in node.items() if key not in deletions
        }
        for verb, source in sources:
            mapping = self._merge(self._value(verb, source, path), mapping, path)
        if mapping == MISSING:
            return mapping
        for name in late:
            if name not in as_mapping(mapping):
                raise ConfigError(f"{_dotted(path)}: _delete_key names {name!r}, which is not there")
            del mapping[name]
        return mapping

    def _value(self, verb: str, source: Any, target: Path) -> Any:
        if not isinstance(source, str):
            raise ConfigError(f"{_dotted(target)}: {verb} needs a path such as a.b.c, got {source!r}")
        path = parse_path(source)
        if source in self._open:
            circle = " -> ".join([*self._open[self._open.index(source) :], source])
            raise ConfigError(f"{_dotted(target)}: {verb} leads to itself: {circle}")
        self._open.append(source)
        value = self.apply(self._lookup(path, source, verb, target), path)
        self._open.pop()
        if verb == "inherit_from":
            self.sources.append(path)
        return deepcopy(value)

    def _lookup(self, path: Path, source: str, verb: str, target: Path) -> Any:
        node: Any = self._tree
        for depth, key in enumerate(path):
            if depth and _is_directive(node):
                node = self.apply(node, path[:depth])
            if node == MISSING:
                return MISSING
            try:
                node = child(node, key)
            except KeyError:
                where = f" in {_dotted(path[:depth])}" if depth else ""
                raise InheritPathNotFoundError(
                    f"{_dotted(target)}: {verb} {source!r}: there is no {key!r}{where}."
                    f"{did_you_mean(key, map(str, as_mapping(node)))}"
                ) from None
        return node

    def _merge(self, source: Any, local: Any, target: Path) -> Any:
        if source == MISSING or not local:
            return source
        if not isinstance(source, dict):
            raise ConfigError(
                f"{_dotted(target)}: what it inherits is not a mapping, so nothing can be added to it"
            )
        return merge(cast("Tree", source), local)

    def _spend(self, path: Path) -> None:
        self._mappings += 1
        if self._mappings > MAX_MAPPINGS:
            raise ConfigError(f"{_dotted(path)}: the directives copy more than {MAX_MAPPINGS:,} mappings")


def _is_directive(node: Any) -> bool:
    if isinstance(node, dict):
        return any(key in node for key in (*_KEYS, _DELETE))
    return isinstance(node, str) and _TEXT.fullmatch(node) is not None


def _names(value: Any, path: Path) -> list[str]:
    if not isinstance(value, str):
        raise ConfigError(f"{_dotted(path)}: _delete_key needs keys such as 'a, b', got {value!r}")
    return [name.strip() for name in value.split(",") if name.strip()]


def _dotted(path: Path) -> str:
    return ".".join(path)
