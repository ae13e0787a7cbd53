"""Finds and reads YAML files and their includes, and reports errors with line and column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final, cast

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nemo_gym.config.aliases import check_aliases
from nemo_gym.config.builtins import builtin_config
from nemo_gym.config.errors import ConfigError, ConfigPathNotFoundError, MalformedConfigPathsError, nearest
from nemo_gym.config.expansion import check_nesting, check_size
from nemo_gym.config.tree import Tree, merge
from nemo_gym.environments import discovery

INCLUDES: Final = "config_paths"
MAX_BYTES: Final = 4 << 20
"""Of one file."""

INSTALLED: Final = Path(discovery.__file__).parents[2]
BUILT_IN: Final = INSTALLED / "nemo_gym" / "library"
"""The root of the benchmarks that come with this package; it is looked in after the others."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The merged content of a list of configuration files."""

    tree: Tree
    files: tuple[str, ...]
    """Every path as it was written; later files replace values of earlier ones."""
    duplicates: tuple[str, ...]
    """Paths that are named a second time."""


def search_roots(search_dirs: Sequence[Path] = ()) -> list[Path]:
    """The folders in which relative paths are looked up, the first match counts: `search_dirs`, those of
    NEMO_GYM_EXTRA_ROOTS, the working directory, the folder in which this package is installed."""
    return list(dict.fromkeys([*search_dirs, *discovery.search_roots(), INSTALLED]))


def find_file(path: str, roots: Sequence[Path]) -> Path | None:
    """The first file at a path that is relative to the roots, or absolute."""
    places = _places(path, roots)
    return next((place.resolve() for place in places if place.is_file()), None)


def read_sources(paths: Sequence[str], roots: Sequence[Path]) -> Sources:
    """The files merged in order, each after the files that it includes. A file that is named twice is read
    once.

    Raises:
        ConfigPathNotFoundError: a path is in none of the roots and names no built-in component.
        MalformedConfigPathsError: a file's `config_paths` is not a list of strings.
        ConfigError: a file is not a mapping in YAML, or two of them can't be merged.
    """
    files: dict[str, str] = {}
    duplicates: list[str] = []
    tree: Tree = {}
    for name, document in _documents(paths, roots, files, duplicates):
        try:
            tree = merge(tree, document)
        except ConfigError as error:
            raise type(error)(f"{name}: {error}") from None
    return Sources(tree, tuple(files.values()), tuple(duplicates))


def read_yaml(path: Path) -> Tree:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        ConfigError: the file can't be read, is not a mapping, or is too large; with line and column.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"larger than {MAX_BYTES >> 20} MiB")
        text = path.read_text(encoding="utf-8")
        check_nesting(text)
        check_aliases(text)
        document = OmegaConf.to_container(OmegaConf.load(StringIO(text)), resolve=False)
    except OSError as error:
        problem = f"can't be read ({error.strerror})" if error.strerror else "not a mapping"
        raise ConfigError(f"{path}: {problem}") from None
    except yaml.YAMLError as error:
        raise malformed(path, error) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (OmegaConfBaseException, ValueError, AssertionError) as error:
        raise ConfigError(f"{path}: {str(error).partition(chr(10))[0] or 'not a mapping'}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    if document == {text.strip(): None} and ":" not in text:
        raise ConfigError(f"{path}: expected a mapping at the top (key: value), got a line of text")
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, got a {type(document).__name__}")
    check_size(document, str(path))
    return cast("Tree", document)


def malformed(path: Path, error: yaml.YAMLError) -> ConfigError:
    """The error of a YAML parser in one line, with the line and the column in the file."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is None:
        return ConfigError(f"{path}: {str(error).partition(chr(10))[0]}")
    problem = str(getattr(error, "problem", None) or error)
    if problem.endswith("cannot start any token") and _char_at(path, mark) == "\t":
        problem = "a tab; YAML is indented with spaces"
    return ConfigError(f"{path}:{mark.line + 1}:{mark.column + 1}: {problem}")


def _char_at(path: Path, mark: yaml.Mark) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""


def include_list(value: Any, where: str) -> list[str]:
    """The paths of a `config_paths`; none for None.

    Raises:
        MalformedConfigPathsError: it is not a list of strings.
    """
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(path, str) for path in cast("list[Any]", value)):
        return cast("list[str]", value)
    raise MalformedConfigPathsError(
        f"{where}: config_paths must be a list of paths, got {value!r}. Write config_paths: [a.yaml, b.yaml]"
    ).about("config")


def _documents(
    paths: Sequence[str], roots: Sequence[Path], files: dict[str, str], duplicates: list[str]
) -> Iterator[tuple[str, Tree]]:
    for path in paths:
        file = find_file(path, roots)
        name = str(file or path)
        if name in files:
            duplicates.append(path)
            continue
        files[name] = path
        document = read_yaml(file) if file else _built_in(path, roots)
        yield from _documents(include_list(document.pop(INCLUDES, None), name), roots, files, duplicates)
        yield name, document


def _built_in(path: str, roots: Sequence[Path]) -> Tree:
    document = builtin_config(path, roots)
    if document is None:
        places = _places(path, roots)
        folder = next((f" ({place} is a folder)" for place in places if place.is_dir()), "")
        near = [name for place in places for name in _beside(place)]
        looked = ", ".join(map(str, places))
        hint = nearest(Path(path).name, sorted(set(near)))
        raise ConfigPathNotFoundError(f"no configuration file {path!r}. Looked for {looked}{folder}.{hint}")
    return document


def _beside(place: Path) -> list[str]:
    """The names of the YAML files beside a place."""
    return [file.name for file in place.parent.glob("*.y*ml")]


def _places(path: str, roots: Sequence[Path]) -> list[Path]:
    location = Path(path).expanduser()
    return [location] if location.is_absolute() else [root / location for root in (*roots, BUILT_IN)]
