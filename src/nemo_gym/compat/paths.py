"""The folders that existing code asks the package for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import nemo_gym
from nemo_gym.environments.discovery import search_roots

SERVER_TYPES: Final = ("resources_servers", "responses_api_agents", "responses_api_models")

ROOT_DIR: Final = Path(nemo_gym.__file__).resolve().parent


def _checkout() -> Path:
    """Where the folders of servers lie: the first search root that has one, else beside the package."""
    holders = (root for root in search_roots() if any((root / kind).is_dir() for kind in SERVER_TYPES))
    return next(holders, ROOT_DIR.parent).resolve()


PARENT_DIR: Final = _checkout()
WORKING_DIR: Final = Path.cwd()
CACHE_DIR: Final = WORKING_DIR / "cache"
RESULTS_DIR: Final = WORKING_DIR / "results"
