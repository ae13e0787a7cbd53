"""Lists the packages of a server, and installs them before it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.config.implementations import implementation_folder
from nemo_gym.config.resolve import Config
from nemo_gym.serving.virtualenvs import INSTALL_S, python_for, virtualenvs_in
from nemo_gym.support.processes import run_program
from nemo_gym.wire.errors import GymError


class Interpreter(msgspec.Struct, frozen=True):
    """The interpreter of one server."""

    name: str
    """The name of the instance."""
    folder: str
    python: str
    own: bool
    """Whether it belongs to a virtual environment for this server."""


async def packages_for(folder: Path, virtualenvs: Path, *, outdated: bool = False) -> list[dict[str, Any]]:
    """The packages that the code in a folder can import, as pip lists them.

    Args:
        outdated: only packages with a newer version in the package index, with that version.

    Raises:
        GymError: the requirements can't be installed, or pip failed.
    """
    python = await python_for(folder, virtualenvs)
    words = ["list", "--format=json", "--disable-pip-version-check", "--no-input"]
    result = await run_program(
        [sys.executable, "-m", "pip", "--python", python, *words, *(["--outdated"] if outdated else [])],
        folder=folder,
        env=os.environ,
        seconds=INSTALL_S,
        keep_bytes=4 << 20,
    )
    if result.exit_code != 0:
        output = "".join(f"\n  | {line}" for line in result.stderr.strip().splitlines()[-20:])
        raise GymError(f"pip can't list the packages for {folder}:{output}")
    return msgspec.json.decode(result.stdout, type=list[dict[str, Any]])


async def prefetch(config: Config, roots: Sequence[Path]) -> list[Interpreter]:
    """Install the requirements of the servers of a configuration, one after the other, and start nothing.

    Raises:
        GymError: an installation failed.
    """
    interpreters: list[Interpreter] = []
    for instance in config.instances.values():
        folder = implementation_folder(instance, roots)
        if folder is not None:
            python = await python_for(folder, virtualenvs_in(config.tree["cache_dir"]))
            interpreters.append(Interpreter(instance.name, str(folder), python, python != sys.executable))
    return interpreters
