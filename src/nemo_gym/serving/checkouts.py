"""Finds the roots of existing servers: `<root>/<kind>/<implementation>/app.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nemo_gym.environments.discovery import search_roots

SERVER_TYPES: Final = ("resources_servers", "responses_api_agents", "responses_api_models")
_OWN_FOLDERS: Final = (*SERVER_TYPES, "benchmarks", "environments")
"""Folders of a root, with a folder for each server, benchmark or environment."""


def checkout(here: Path | None = None) -> Path | None:
    """The root of the server whose folder encloses the working directory (or `here`); else the first search
    root with servers; else None."""
    return next(_checkouts(here or Path.cwd()), None)


def enclosing_roots(here: Path | None = None) -> list[Path]:
    """The root of the server or benchmark whose folder encloses the working directory, if there is one."""
    here = (here or Path.cwd()).resolve()
    own = (folder.parents[1] for folder in (here, *here.parents) if folder.parent.name in _OWN_FOLDERS)
    return [root for root in own if _has_servers(root)][:1]


def checkouts() -> list[Path]:
    """Every root for relative paths of servers: the enclosing root, the search roots, and the roots in
    `sys.path`."""
    import_folders = [Path(entry) for entry in sys.path if entry]
    folders = [*_checkouts(Path.cwd()), *search_roots(), *filter(_has_servers, import_folders)]
    return list(dict.fromkeys(root.resolve() for root in folders))


def _checkouts(here: Path) -> Iterator[Path]:
    yield from enclosing_roots(here)
    yield from (root.resolve() for root in search_roots() if _has_servers(root))


def _has_servers(root: Path) -> bool:
    return any((root / kind).is_dir() for kind in SERVER_TYPES)
