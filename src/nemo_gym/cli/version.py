"""What `gym --version` prints."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from nemo_gym import __version__


def versions() -> dict[str, Any]:
    """This package, Python, the system, and what this package builds on as far as it is installed."""
    return {
        "gym": __version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": {"name": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "dependencies": dict(sorted(_dependencies().items())),
    }


def _dependencies() -> dict[str, str]:
    versions_of: dict[str, str] = {}
    for requirement in requires("nemo-gym") or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            versions_of[name] = version(name)
        except PackageNotFoundError:
            continue
    versions_of.pop("nemo-gym", None)
    return versions_of
