"""What is installed for the code of a server, and installing it beforehand."""

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


class Prepared(msgspec.Struct, frozen=True):
    """The interpreter of one server."""

    name: str
    """Of the instance."""
    folder: str
    python: str
    own: bool
    """Whether it is that of a virtual environment of its own."""


async def packages_for(folder: Path, virtualenvs: Path, *, outdated: bool = False) -> list[dict[str, Any]]:
    """The packages that the code in a folder can import, as pip lists them.

    Args:
        outdated: only those of which the package index has a newer version, with that version.

    Raises:
        GymError: the requirements can't be installed, or pip failed.
    """
    python = await python_for(folder, virtualenvs)
    words = ["list", "--format=json", "--disable-pip-version-check", "--no-input"]
    ended = await run_program(
        [sys.executable, "-m", "pip", "--python", python, *words, *(["--outdated"] if outdated else [])],
        folder=folder,
        env=os.environ,
        seconds=INSTALL_S,
        keep_bytes=4 << 20,
    )
    if ended.exit_code != 0:
        output = "".join(f"\n  | {line}" for line in ended.stderr.strip().splitlines()[-20:])
        raise GymError(f"pip can't list the packages for {folder}:{output}")
    return msgspec.json.decode(ended.stdout, type=list[dict[str, Any]])


async def prefetch(config: Config, roots: Sequence[Path]) -> list[Prepared]:
    """Install what the servers of a configuration need, one after the other; nothing is started.

    Raises:
        GymError: an installation failed.
    """
    prepared: list[Prepared] = []
    for instance in config.instances.values():
        folder = implementation_folder(instance, roots)
        if folder is not None:
            python = await python_for(folder, virtualenvs_in(config.tree["cache_dir"]))
            prepared.append(Prepared(instance.name, str(folder), python, python != sys.executable))
    return prepared
