"""Programs of this machine: the path of a program, and the other files that it needs to start."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from nemo_gym.wire.errors import UsageError


def find_program(name: str, *, first: str = "") -> str:
    """The path of a program on PATH or beside this Python.

    Args:
        name: the program, or a path.
        first: folders, separated as in PATH, that are searched first.

    Raises:
        UsageError: there is no such program.
    """
    folders = [first, os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    program_path = shutil.which(name, path=os.pathsep.join(filter(None, folders)))
    if program_path is None:
        raise UsageError(f"no program {name!r} on PATH")
    return os.path.abspath(program_path)


def needed_by(program: str) -> list[str]:
    """The paths that a sandbox on this machine must make readable for a program: its file, the links that
    lead to it, and the virtual environment or `node_modules` that holds it. No folder that contains the
    user's home is among them."""
    files = _links(Path(program))
    folders = [folder for file in files for folder in _homes(file)]
    safe_folders = [folder for folder in folders if not Path.home().is_relative_to(folder)]
    return [str(path) for path in dict.fromkeys([*safe_folders, *files])]


def _links(path: Path) -> list[Path]:
    """A path, and the target of each link that starts from it."""
    paths = [path]
    while path.is_symlink() and len(paths) < 40:
        path = Path(os.path.normpath(path.parent / path.readlink()))
        paths.append(path)
    return paths


def _homes(file: Path) -> list[Path]:
    if "node_modules" in file.parts:
        return [Path(*file.parts[: file.parts.index("node_modules") + 1])]
    environment = file.parent.parent
    if not (environment / "pyvenv.cfg").exists():
        return []
    return [environment, *(link.parent.parent for link in _links(environment / "bin" / "python"))]
