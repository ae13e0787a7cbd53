"""Limits the size of a YAML document with its aliases expanded, because OmegaConf 2.3 does not."""

from __future__ import annotations

from typing import Any, Final, cast

import yaml

from nemo_gym.config.errors import ConfigError

MAX_NODES: Final = 100_000
"""The most values, keys and containers of a document with aliases; each alias counts as its target."""


def check_aliases(text: str) -> None:
    """Check that a document doesn't become huge.

    Raises:
        ConfigError: the document becomes huge.
        yaml.YAMLError: it is not YAML, or contains itself.
        RecursionError: it is nested too deeply.
    """
    if "*" not in text:
        return
    root: yaml.Node | None = cast("Any", yaml).compose(text, Loader=_LOADER)
    if root is not None and _size(root, {}) > MAX_NODES:
        raise ConfigError(f"its aliases' expansion exceeds {MAX_NODES:,} values")


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """The number of nodes at and below a node."""
    if id(node) in sizes:
        if sizes[id(node)] == _STARTED:
            raise yaml.MarkedYAMLError(problem="a recursive alias", problem_mark=node.start_mark)
        return sizes[id(node)]
    sizes[id(node)] = _STARTED
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        below = [one for pair in cast("list[tuple[yaml.Node, yaml.Node]]", node.value) for one in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = cast("list[yaml.Node]", node.value)
    sizes[id(node)] = 1 + sum(_size(one, sizes) for one in below)
    return sizes[id(node)]


_STARTED: Final = 0
