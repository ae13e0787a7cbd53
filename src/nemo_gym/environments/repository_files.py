"""A rollout's own repository on disk: it creates it, and lists, reads and writes its files. Nothing in it is
trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nemo_gym.environments.tool import ToolError
from nemo_gym.support.processes import clean_environment, run_program
from nemo_gym.wire.errors import EnvironmentFault

MAX_BYTES: Final = 256 << 10
"""The most bytes of one file that a tool reads or writes."""
MAX_FILES: Final = 500
MAX_DEPTH: Final = 20
MAX_PATH: Final = 500
_IGNORED: Final = (".git", "__pycache__")


async def make_repository(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files and commit them.

    Raises:
        EnvironmentFault: git is missing or failed.
    """
    for name, text in files.items():
        write_file(folder, name, text)
    env = clean_environment(folder) | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["-c", "user.name=gym", "-c", "user.email=gym@localhost", "commit", "--quiet", "-m", "As found"],
    ):
        try:
            result = await run_program(["git", *words], folder=folder, env=env, seconds=30.0)
        except OSError as error:
            raise EnvironmentFault(f"git can't be started: {error}") from None
        if result.exit_code != 0:
            raise EnvironmentFault(f"git {words[0]} failed: {result.stderr[-500:]}")


def list_files(folder: Path) -> list[str]:
    """The sorted names of the regular files, without those of git and those in too many folders."""
    names: list[str] = []
    for place, folders, files in os.walk(folder):
        deep = len(Path(place).relative_to(folder).parts) + 1 >= MAX_DEPTH
        folders[:] = [] if deep else [name for name in folders if name not in _IGNORED]
        for name in files:
            path = Path(place, name)
            inner = str(path.relative_to(folder))
            if len(inner) <= MAX_PATH and stat.S_ISREG(path.lstat().st_mode):
                names.append(inner)
        if len(names) > MAX_FILES:
            break
    return sorted(names)[:MAX_FILES]


def text_files(folder: Path, most: int) -> dict[str, str]:
    """The text of each file in UTF-8, by name. A file that exceeds the bytes that are left is left out."""
    texts: dict[str, str] = {}
    for name in list_files(folder):
        with (folder / name).open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            continue
        try:
            texts[name] = data.decode()
        except UnicodeDecodeError:
            continue
        most -= len(data)
    return texts


def read_file(folder: Path, name: str) -> str:
    """A file's text.

    Raises:
        ToolError: it is missing, too large, or outside the repository.
    """
    path = _inside(folder, name)
    try:
        exists = path.is_file()
    except OSError:  # No file can have that name.
        exists = False
    if not exists:
        raise ToolError(f"There is no file {name!r}; list_files names those that there are.")
    if path.stat().st_size > MAX_BYTES:
        raise ToolError(f"{name} is larger than {MAX_BYTES} bytes.")
    return path.read_text("utf-8", "replace")


def write_file(folder: Path, name: str, text: str) -> None:
    """Write a file, in place of its old text if there is one.

    Raises:
        ToolError: it is outside the repository, git's own, or too large.
    """
    path = _inside(folder, name)
    content = text.encode("utf-8", "replace")
    if len(content) > MAX_BYTES:
        raise ToolError(f"{name} would be larger than {MAX_BYTES} bytes.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ToolError(f"{name} can't be written: {error.strerror}.") from None


def _inside(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (ValueError, OSError, RuntimeError):
        raise ToolError(f"{name!r} is not a path.") from None
    root = folder.resolve()
    if len(name) > MAX_PATH or len(path.parts) - len(root.parts) > MAX_DEPTH:
        raise ToolError(
            f"The path is longer than {MAX_PATH} characters or more than {MAX_DEPTH} folders deep."
        )
    if path == root or not path.is_relative_to(root) or ".git" in path.relative_to(root).parts:
        raise ToolError(f"{name!r} is not a file of this repository.")
    return path
