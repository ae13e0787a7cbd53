"""The folders of the package under the names that existing code uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import nemo_gym
from nemo_gym.serving.checkouts import checkout

ROOT_DIR: Final = Path(nemo_gym.__file__).resolve().parent
PARENT_DIR: Final = checkout() or ROOT_DIR.parent
"""Where the folders of servers lie, also for a process that works in the folder of one of them."""


def _working_dir() -> Path:
    """Where files are written: the project, also from the folder of a server in it."""
    here = Path.cwd()
    is_project = (PARENT_DIR / "pyproject.toml").is_file()
    return PARENT_DIR if is_project and here.is_relative_to(PARENT_DIR) else here


WORKING_DIR: Final = _working_dir()
CACHE_DIR: Final = WORKING_DIR / "cache"
RESULTS_DIR: Final = WORKING_DIR / "results"
