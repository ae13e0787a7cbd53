"""Files of a repository on disk that a model has changed: nothing in it is trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MAX_FILES: Final = 500
MAX_DEPTH: Final = 20
MAX_PATH: Final = 500
_IGNORED: Final = (".git", "__pycache__")


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
    """The text of each file in UTF-8, by name, up to so many bytes together; other files are left out."""
    texts: dict[str, str] = {}
    for name in list_files(folder):
        with (folder / name).open("rb") as file:
            data = file.read(most + 1)
        most -= len(data)
        if most < 0:
            break
        try:
            texts[name] = data.decode()
        except UnicodeDecodeError:
            continue
    return texts
