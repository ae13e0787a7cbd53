"""Computes how large a tree becomes when its interpolations are replaced, without replacing them.

References to references double at every step: thirty short lines amount to a billion values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from nemo_gym.config.errors import ConfigError, ConfigInterpolationError
from nemo_gym.config.tree import Path, Tree, as_mapping, get, leaves

MAX_DEPTH: Final = 100
"""Mappings and lists inside one another."""
MAX_NESTED: Final = 16
"""Interpolations inside one another, as `${a.${b}}` has two."""
MAX_REFERENCES: Final = 5_000
"""Interpolations in one file."""
MAX_NODES: Final = 200_000
"""Values that a tree may hold, and grow to."""
MAX_CHARACTERS: Final = 16 << 20
"""Characters that the texts of a tree may grow to altogether."""

MAX_BITS: Final = 4096
"""The most bits of a whole number."""

_REFERENCE: Final = re.compile(r"\$\{\s*(?:oc\.\w+(?:\.\w+)?\s*:\s*['\"]?)?(\.*[\w-][\w.\-\[\]]*)")
"""A reference whose key is written out, in a resolver's first argument too."""
_VARIABLE: Final = re.compile(r"\$\{\s*oc\.env\s*:\s*['\"]?(\w+)")
_OPEN: Final = re.compile(r"\$\{\s*(?:oc\.\w+(?:\.\w+)?\s*:\s*['\"]?)?((?:\.*[\w-][\w.\-\[\]]*)?)(?=\$\{)")
"""The beginning of a reference whose last key is itself a reference."""
_INNER: Final = re.compile(r"\$\{\s*(\.*[\w-][\w.\-\[\]]*)\s*\}")


def check_size(value: Any, where: str) -> None:
    """Check that data is not deeper and has no more values than a configuration needs. An alias counts as
    often as it is used.

    Raises:
        ConfigError: it is too large.
    """
    try:
        size = _size(value, {}, 0)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if size > MAX_NODES:
        raise ConfigError(f"{where}: more than {MAX_NODES:,} values, its aliases written out")


def check_nesting(text: str) -> None:
    """Check that text has so few interpolations, and so little nested, that it can be read quickly.

    Raises:
        ConfigError: it has too many, or too deep ones.
    """
    if text.count("${") > MAX_REFERENCES:
        raise ConfigError(f"more than {MAX_REFERENCES:,} interpolations")
    depth = 0
    for brace in _BRACES.finditer(text):
        depth = max(0, depth - 1) if brace[0] == "}" else depth + 1
        if depth > MAX_NESTED:
            raise ConfigError(f"interpolations inside one another more than {MAX_NESTED} deep")


def check_expansion(tree: Tree) -> None:
    """Check that a tree without its interpolations is still of a reasonable size.

    Raises:
        ConfigInterpolationError: it is not, with the key at which it grows too large.
    """
    growth = _Growth(tree)
    nodes = characters = 0
    for path, text in leaves(tree):
        if not isinstance(text, str) or "${" not in text:
            continue
        try:
            more_nodes, more_characters = growth.of_text(text, path)
        except RecursionError:
            raise ConfigInterpolationError(f"{'.'.join(path)}: its references are too deep") from None
        nodes, characters = nodes + more_nodes, characters + more_characters
        if nodes > MAX_NODES or characters > MAX_CHARACTERS:
            raise ConfigInterpolationError(
                f"{'.'.join(path)}: its references multiply into more than {MAX_NODES:,} values or "
                f"{MAX_CHARACTERS >> 20} MiB of text"
            )


def _size(value: Any, sizes: dict[int, int], depth: int) -> int:
    """The number of values at and below a value; each object is counted once."""
    if depth > MAX_DEPTH:
        raise ConfigError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ConfigError(f"a whole number of more than {MAX_BITS:,} bits")
    if not isinstance(value, (dict, list)):
        return 1
    size = sizes.get(id(cast("object", value)))
    if size is not None:
        return size
    sizes[id(cast("object", value))] = 1  # data that contains itself is refused elsewhere
    inside = cast("Tree", value).values() if isinstance(value, dict) else cast("list[Any]", value)
    total = 1 + sum(_size(item, sizes, depth + 1) for item in inside)
    sizes[id(cast("object", value))] = total
    return total


class _Growth:
    """(values, characters) that each part of a tree becomes. A reference to itself counts as one value."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sizes: dict[Path, tuple[int, int]] = {}
        self._open: set[Path] = set()

    def of_text(self, text: str, path: Path) -> tuple[int, int]:
        nodes, characters = 1, len(text)
        for reference, is_open in self._references(text, path):
            target = _target(reference, path)
            more = self._any_below(target) if is_open else self._at(target) if target else (1, 0)
            nodes, characters = nodes + more[0], characters + more[1]
        characters += sum(len(os.environ.get(name, "")) for name in _VARIABLE.findall(text))
        return min(nodes, MAX_NODES + 1), min(characters, MAX_CHARACTERS + 1)

    def _at(self, path: Path) -> tuple[int, int]:
        if path in self._sizes:
            return self._sizes[path]
        if path in self._open:
            return 1, 0
        try:
            node = get(self._tree, path)
        except KeyError as error:
            through: Path = error.args[0]
            return self._at(through) if isinstance(get(self._tree, through), str) else (1, 0)
        self._open.add(path)
        if len(self._open) > MAX_DEPTH:
            raise ConfigInterpolationError(f"{'.'.join(path)}: more than {MAX_DEPTH} references in a row")
        self._sizes[path] = self._of_node(node, path)
        self._open.discard(path)
        return self._sizes[path]

    def _any_below(self, path: Path) -> tuple[int, int]:
        """The largest size of a reference whose last key is itself a reference."""
        try:
            node = get(self._tree, path)
        except KeyError:
            return 1, 0
        names = as_mapping(node) or range(len(cast("list[Any]", node)) if isinstance(node, list) else 0)
        sizes = [self._at((*path, str(name))) for name in names]
        return max((nodes for nodes, _ in sizes), default=1), max(
            (letters for _, letters in sizes), default=0
        )

    def _of_node(self, node: Any, path: Path) -> tuple[int, int]:
        if isinstance(node, str):
            return self.of_text(node, path) if "${" in node else (1, len(node))
        if not isinstance(node, (dict, list)):
            return 1, 0
        items = cast("Tree", node).items() if isinstance(node, dict) else enumerate(cast("list[Any]", node))
        nodes = characters = 1
        for key, value in items:
            more_nodes, more_characters = self._of_node(value, (*path, str(key)))
            nodes, characters = nodes + more_nodes, characters + more_characters
        return min(nodes, MAX_NODES + 1), min(characters, MAX_CHARACTERS + 1)

    def _references(self, text: str, path: Path) -> Iterator[tuple[str, bool]]:
        """The references in a text, and of each whether its last key is open, that is itself a reference.

        Keys with references inside are resolved where those mean plain text.
        """
        for _ in range(_LAYERS):
            yield from ((name, False) for name in _REFERENCE.findall(text))
            for start, end, name in reversed(list(_nested(text))):
                plain = self._plain(name, path)
                if plain is not None and len(plain) <= _LONGEST_KEY:
                    text = text[:start] + plain + text[end:]
                    break
            else:
                break
        yield from ((name.rstrip("."), True) for name in _OPEN.findall(text))

    def _plain(self, reference: str, path: Path) -> str | None:
        """The text that a reference resolves to, through references to references."""
        for _ in range(MAX_DEPTH):
            target = _target(reference, path)
            try:
                value = get(self._tree, target)
            except KeyError:
                return None
            if not isinstance(value, str) or "${" not in value:
                return str(value) if isinstance(value, (str, int)) else None
            whole = _INNER.fullmatch(value.strip())
            if not whole:
                return None
            reference, path = whole[1], target
        return None


_LAYERS: Final = 64
"""The most nested references of one text that are resolved."""
_LONGEST_KEY: Final = 1000


def _nested(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, key) of each reference inside of another one."""
    depths: list[int] = []
    at = 0
    for brace in _BRACES.finditer(text):
        if brace[0] == "}":
            at = max(0, at - 1)
        else:
            depths += [brace.start()] if at else []
            at += 1
    for start in depths:
        if inner := _INNER.match(text, start):
            yield start, inner.end(), inner[1]


_BRACES: Final = re.compile(r"\$\{|\}")


def _target(reference: str, path: Path) -> Path:
    """The path that a reference means; one that begins with dots is relative to its own place."""
    dots = len(reference) - len(reference.lstrip("."))
    keys = tuple(filter(None, re.split(r"[.\[\]]", reference)))
    return (*path[: len(path) - dots], *keys) if dots else keys
