"""Finds and reads configuration files and their includes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nemo_gym.config.builtins import builtin_config
from nemo_gym.config.errors import ConfigError, ConfigPathNotFoundError, MalformedConfigPathsError, nearest
from nemo_gym.config.expansion import check_nesting
from nemo_gym.config.tree import Tree, leaves, merge
from nemo_gym.config.yaml_files import read_mapping
from nemo_gym.environments import discovery

INCLUDES: Final = "config_paths"

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
    """The mapping in a configuration file; an empty file is an empty mapping. Its `${...}` are left as they
    are, and checked.

    Raises:
        ConfigError: the file can't be read, is not a mapping, or is too large; with line and column.
    """
    return read_mapping(path, _configuration)


def _configuration(text: str) -> Any:
    check_nesting(text)
    try:
        document = OmegaConf.to_container(OmegaConf.load(StringIO(text)), resolve=False)
    except OSError:
        raise ConfigError("not a mapping") from None
    except OmegaConfBaseException as error:
        raise ConfigError(str(error)) from None
    for _, value in leaves(document):
        if isinstance(value, str) and "${" in value:
            check_nesting(value)
    return text if document == {text.strip(): None} and ":" not in text else document


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
