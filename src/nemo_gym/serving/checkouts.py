"""The root that existing servers lie in: `<root>/<kind>/<implementation>/app.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nemo_gym.environments.discovery import search_roots

SERVER_TYPES: Final = ("resources_servers", "responses_api_agents", "responses_api_models")
_OWN_FOLDERS: Final = (*SERVER_TYPES, "benchmarks", "environments")
"""In which each server, benchmark and environment of a root has a folder of its own."""


def checkout(here: Path | None = None) -> Path | None:
    """The root of the server whose folder the working directory (or `here`) is, or lies in; else the first
    search root with servers; None without any."""
    return next(_checkouts(here or Path.cwd()), None)


def enclosing_roots(here: Path | None = None) -> list[Path]:
    """The root of the server or benchmark whose folder the working directory is, or lies in: one or none."""
    here = (here or Path.cwd()).resolve()
    own = (folder.parents[1] for folder in (here, *here.parents) if folder.parent.name in _OWN_FOLDERS)
    return [root for root in own if _has_servers(root)][:1]


def checkouts() -> list[Path]:
    """Every root that relative paths of servers may start from: the one above, the search roots, and those
    that servers import one another from."""
    imported = [Path(entry) for entry in sys.path if entry]
    folders = [*_checkouts(Path.cwd()), *search_roots(), *filter(_has_servers, imported)]
    return list(dict.fromkeys(root.resolve() for root in folders))


def _checkouts(here: Path) -> Iterator[Path]:
    yield from enclosing_roots(here)
    yield from (root.resolve() for root in search_roots() if _has_servers(root))


def _has_servers(root: Path) -> bool:
    return any((root / kind).is_dir() for kind in SERVER_TYPES)
