"""The folders of the package under the names that existing code uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import nemo_gym
from nemo_gym.serving.checkouts import checkout

ROOT_DIR: Final = Path(nemo_gym.__file__).resolve().parent
PARENT_DIR: Final = checkout() or ROOT_DIR.parent
"""The root of the folders of servers, also for a process that works in one of these folders."""


def _working_dir() -> Path:
    """The folder for new files: the project, also for a process in a server's folder."""
    here = Path.cwd()
    is_project = (PARENT_DIR / "pyproject.toml").is_file()
    return PARENT_DIR if is_project and here.is_relative_to(PARENT_DIR) else here


WORKING_DIR: Final = _working_dir()
CACHE_DIR: Final = WORKING_DIR / "cache"
RESULTS_DIR: Final = WORKING_DIR / "results"
