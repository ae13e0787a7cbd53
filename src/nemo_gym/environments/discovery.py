"""Finds the Environment of a reference: `mcqa`, `demo`, `env.py`, `env.py:Class` or `reward.py:score`.

A name is searched in the search roots first, then among installed packages (entry points of the group
`nemo_gym.environments`), and then among the built-in environments. So your own environment wins over a
built-in one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from nemo_gym.environments.base import Environment
from nemo_gym.environments.environment_info import EnvironmentInfo as EnvironmentInfo
from nemo_gym.environments.environment_info import environment_info as environment_info
from nemo_gym.environments.environment_info import library, read_info
from nemo_gym.environments.function import environment_of
from nemo_gym.support.modules import FILE_MODULE, load_file
from nemo_gym.wire.errors import GymError, UsageError, did_you_mean
from nemo_gym.wire.exception_text import message_of, origin

ENTRY_POINTS = "nemo_gym.environments"
"""The entry point group for the environments of installed packages."""
EXTRA_ROOTS = "NEMO_GYM_EXTRA_ROOTS"
"""The environment variable with more search roots, separated as in PATH."""

OFFER = "__gym_environment__"
"""The class method with which a class of another kind returns its environment class."""


def search_roots() -> list[Path]:
    """The folders in which names are searched: those of NEMO_GYM_EXTRA_ROOTS, then the working directory."""
    extra = os.environ.get(EXTRA_ROOTS, "").split(os.pathsep)
    return [*(Path(folder).expanduser() for folder in extra if folder), Path.cwd()]


def find_environment(ref: str, *, roots: Sequence[Path] | None = None) -> type[Environment]:
    """The environment class of a reference.

    Args:
        ref: a name, `path.py`, `path.py:Class`, `path.py:function`, or a folder with an `environment.py`.
        roots: search roots for names, of which earlier ones win; by default `search_roots()`.

    Raises:
        UsageError: there is no such environment, the reference fits several, or its file can't be imported.
    """
    file, _, member = ref.rpartition(":") if ".py:" in ref else (ref, "", "")
    if file.endswith(".py") or "/" in file or os.sep in file:
        return _from_file(Path(file), member)
    roots = search_roots() if roots is None else roots
    for path in _files_named(ref, roots):
        return _from_file(path, "")
    for point in _entry_points():
        if point.name == ref:
            return _from_entry_point(point)
    if ref in library():
        return _of_library(ref)
    raise UsageError(unknown_environment(ref, roots))


def unknown_environment(ref: str, roots: Sequence[Path]) -> str:
    """The message about a name that no environment has."""
    names = [name for name, _ in _all_named_files(roots)]
    names += [point.name for point in _entry_points()]
    folders = ", ".join(str(root) for root in roots)
    hint = did_you_mean(ref, {*names, *library()})
    if not hint.endswith("?"):
        hint = " `gym list environments` lists them all"
    return (
        f"no environment named {ref!r}.{hint} "
        f"(looked in {folders}, installed packages and the built-in environments; a file is given as path.py)"
    )


def list_environments(*, roots: Sequence[Path] | None = None) -> list[EnvironmentInfo]:
    """Every environment with a name, in the order of names. Files are read, not run. Of two environments with
    the same name, the one that `find_environment` takes is listed."""
    infos: dict[str, EnvironmentInfo] = {}
    for name, path in _all_named_files(search_roots() if roots is None else roots):
        if name not in infos and (info := read_info(name, path, str(path))):
            infos[name] = info
    for point in _entry_points():
        if point.name not in infos:
            infos[point.name] = _entry_point_info(point)
    for name, folder in library().items():
        if name not in infos:
            infos[name] = _built_in_info(name, folder)
    return [infos[name] for name in sorted(infos)]


def installed_names() -> list[str]:
    """The names of the environments of installed packages and of the built-in ones, in order."""
    return sorted({*(point.name for point in _entry_points()), *library()})


def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    """Those of installed packages."""
    return _entry_points_on(tuple(sys.path))


@cache
def _entry_points_on(_path: tuple[str, ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    """Those of the packages on the module path, which is as it is now: looking takes 3 ms, and one command
    looks a hundred times."""
    return tuple(importlib.metadata.entry_points(group=ENTRY_POINTS))


def reference(kind: type[Environment]) -> str | None:
    """`module:Class` or `path.py:Class`, with which another process can find the class; None for a class that
    another process can't find."""
    module = sys.modules.get(kind.__module__)
    name = kind.__name__
    if module is None or module.__name__ == "__main__":
        return None
    if _as_environment(getattr(module, name, None)) is not kind:
        return None
    if not module.__name__.startswith(FILE_MODULE):
        return f"{module.__name__}:{name}"
    function = name.removeprefix("_").removesuffix("_environment")
    return f"{module.__file__}:{function if name == f'_{function}_environment' else name}"


def resolve_reference(ref: str) -> type[Environment]:
    """The class of a result of `reference`."""
    if ".py:" in ref:
        return find_environment(ref)
    module, _, name = ref.partition(":")
    return getattr(importlib.import_module(module), name)


@cache
def _built_in_info(name: str, folder: Path) -> EnvironmentInfo:
    info = read_info(name, folder / "environment.py", "built-in", whole=True)
    return info or environment_info(_of_library(name))


def _of_library(name: str) -> type[Environment]:
    path = library()[name] / "environment.py"
    return _only_environment(load_file(path), path)


def _files_named(name: str, roots: Sequence[Path]) -> Iterator[Path]:
    for root in roots:
        for path in (
            root / f"{name}.py",
            root / name / "environment.py",
            root / "environments" / name / "environment.py",
        ):
            if path.is_file() and _mentions_gym(path):
                yield path


def _all_named_files(roots: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for root in roots:
        files = [(path.stem, path) for path in sorted(root.glob("*.py"))]
        folders = [
            *sorted(root.glob("*/environment.py")),
            *sorted(root.glob("environments/*/environment.py")),
        ]
        for name, path in [*files, *((path.parent.name, path) for path in folders)]:
            if _mentions_gym(path):
                yield name, path


def _mentions_gym(path: Path) -> bool:
    """Whether a file can be an environment. An unrelated script must not be run or hide an environment."""
    try:
        return b"nemo_gym" in path.read_bytes()
    except OSError:
        return False


def _from_file(path: Path, member: str) -> type[Environment]:
    path = path.expanduser()
    if path.is_dir():
        path /= "environment.py"
    if not path.is_file():
        names = sorted(file.name for file in path.parent.glob("*.py"))
        raise UsageError(f"{path}: there is no such file.{did_you_mean(path.name, names)}")
    module = load_file(path)
    return _member(module, path, member) if member else _only_environment(module, path)


def _member(module: ModuleType, path: Path, member: str) -> type[Environment]:
    value: Any = getattr(module, member, None)
    if kind := _as_environment(value):
        return kind
    names = [*(kind.__name__ for kind in _environments_in(module)), *_functions_in(module)]
    if value is None:
        raise UsageError(f"{path} has no {member!r}.{did_you_mean(member, names)}")
    hint = did_you_mean("", names)
    raise UsageError(f"{path}:{member} is neither an Environment class nor a function.{hint}")


def _as_environment(value: object) -> type[Environment] | None:
    if isinstance(value, type):
        if issubclass(value, Environment):
            return value
        offer: Callable[[], type[Environment] | None] | None = getattr(cast("object", value), OFFER, None)
        return offer() if offer else None
    return environment_of(cast("Callable[..., Any]", value)) if inspect.isfunction(value) else None


def _only_environment(module: ModuleType, path: Path) -> type[Environment]:
    kinds = _environments_in(module)
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise UsageError(f"{path} has several environments ({names}): say which, {path}:{kinds[0].__name__}")
    functions = _functions_in(module)
    hint = f"; to score with a function say {path}:{functions[0]}" if functions else ""
    raise UsageError(f"{path} has no Environment class{hint}")


def _environments_in(module: ModuleType) -> list[type[Environment]]:
    return [
        kind
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and (kind := _as_environment(value))
    ]


def _functions_in(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


def _from_entry_point(point: importlib.metadata.EntryPoint) -> type[Environment]:
    try:
        value: Any = point.load()
    except GymError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"environment {point.name!r} of the installed package can't be loaded from {point.value}: "
            f"{message_of(error)}{origin(error)}"
        ) from error
    if kind := _as_environment(value):
        return kind
    if isinstance(value, ModuleType):
        return _only_environment(value, Path(value.__file__ or point.value))
    raise UsageError(f"entry point {point.name!r} ({point.value}) is not an Environment class")


def _entry_point_info(point: importlib.metadata.EntryPoint) -> EnvironmentInfo:
    try:
        info = environment_info(_from_entry_point(point))
    except UsageError as error:
        return EnvironmentInfo(point.name, str(error), "other", "tools", point.value, ())
    return EnvironmentInfo(point.name, info.description, info.domain, info.kind, point.value, info.tools)
