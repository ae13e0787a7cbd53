"""Reads YAML files within limits, and reports errors with line and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import yaml

from nemo_gym.config.aliases import check_aliases
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.expansion import check_size
from nemo_gym.config.tree import Tree
from nemo_gym.wire.errors import UsageError

MAX_BYTES: Final = 4 << 20
"""Of one file."""


def plain_yaml(text: str) -> Any:
    """The value of a YAML document. Dates are texts, and `${...}` means nothing.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping has a key twice.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_keys(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def read_mapping(path: Path, parse: Callable[[str], Any] = plain_yaml) -> Tree:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Args:
        parse: makes a value of the text, as `plain_yaml` does.

    Raises:
        ConfigError: the file can't be read, is not a mapping, or is too large; with line and column.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    return mapping_of(text, path, parse)


def read_data(path: Path) -> Tree:
    """As `read_mapping`, for a file that is no configuration of this package.

    Raises:
        UsageError: as its `ConfigError`.
    """
    try:
        return read_mapping(path)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def mapping_of(text: str, path: Path, parse: Callable[[str], Any] = plain_yaml) -> Tree:
    """The mapping in a YAML text of a file, as of `read_mapping`.

    Raises:
        ConfigError: it is not a mapping, or is too large; with line and column.
    """
    try:
        check_aliases(text)
        document = parse(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_place_and_problem(text, error)}") from None
    except (ConfigError, ValueError, AssertionError) as error:
        raise ConfigError(f"{path}: {str(error).partition(chr(10))[0] or 'not a mapping'}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    except (LookupError, AttributeError, TypeError, ArithmeticError):  # `!!bool maybe`, `!!int ''`
        raise ConfigError(f"{path}: a value does not fit its tag") from None
    if isinstance(document, str):
        raise ConfigError(f"{path}: expected a mapping at the top (key: value), got a line of text")
    if not isinstance(document, dict | None):
        raise ConfigError(f"{path}: expected a mapping at the top, got a {type(document).__name__}")
    check_size(document, str(path))
    return cast("Tree", document or {})


def _place_and_problem(text: str, error: yaml.YAMLError) -> str:
    """The error of a YAML parser in one line, with the line and the column in the file."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is None:
        return f": {str(error).partition(chr(10))[0]}"
    problem = str(getattr(error, "problem", None) or error)
    line = text.splitlines()[mark.line : mark.line + 1]
    if problem.endswith("cannot start any token") and line and line[0][mark.column : mark.column + 1] == "\t":
        problem = "a tab; YAML is indented with spaces"
    return f":{mark.line + 1}:{mark.column + 1}: {problem}"


def _check_keys(root: yaml.Node) -> None:
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += cast("list[yaml.Node]", node.value)
        elif isinstance(node, yaml.MappingNode):
            keys = set[tuple[str, str]]()
            for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
                nodes += [key, value]
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    if (key.tag, key.value) in keys:
                        problem = f"found duplicate key {key.value[:80]!r}"
                        raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                    keys.add((key.tag, key.value))


_MERGE: Final = "tag:yaml.org,2002:merge"
_DATE: Final = "tag:yaml.org,2002:timestamp"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """Reads dates as texts."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
    for letter, resolvers in _Base.yaml_implicit_resolvers.items()
}
