"""Virtual environments for implementations with requirements."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import site
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from nemo_gym.serving.requirements import requirements_of
from nemo_gym.support.processes import run_program
from nemo_gym.wire.errors import GymError

INSTALL_S: Final = 1800.0
"""Seconds that an installation may take."""


async def python_for(folder: Path, cache: Path) -> str:
    """The interpreter for the code in a folder: of a virtual environment if `requirements.txt` or
    `pyproject.toml` has requirements besides this package, else of this process.

    The folder of the virtual environment is named after its requirements, so that equal requirements share
    one. A lock keeps two processes from creating it at once. Its own packages come before those that are
    installed here.

    Args:
        cache: folder of all virtual environments.

    Raises:
        GymError: both files exist, or the installation failed.
    """
    arguments = requirements_of(folder)
    if not arguments:
        return sys.executable
    place = cache / _digest(arguments)
    python = place / "bin" / "python"
    async with _lock(place.with_suffix(".lock")):
        if not _is_ready(place):
            shutil.rmtree(place, ignore_errors=True)
            await _run(folder, sys.executable, "-m", "venv", "--without-pip", str(place))
            _link_packages(place)
            await _run(folder, sys.executable, "-m", "pip", "--python", str(python), *_PIP, *arguments)
            (place / _READY).touch()
    return str(python)


def virtualenvs_in(cache_dir: str | Path) -> Path:
    """The folder of all virtual environments, for a configuration's `cache_dir`."""
    return Path(cache_dir).absolute() / "virtualenvs"


def _digest(arguments: list[str]) -> str:
    """A hash of the requirements; a file counts by its content."""
    digest = hashlib.sha256()
    for part in (sys.version, sys.prefix, *arguments):
        path = Path(part)
        content = path.read_bytes() if part.startswith("/") and path.is_file() else b""
        digest.update(part.encode() + b"\0" + content + b"\0")
    if arguments[0] == "--editable":
        digest.update((Path(arguments[1]) / "pyproject.toml").read_bytes())
    return digest.hexdigest()[:24]


def _is_ready(place: Path) -> bool:
    return (place / _READY).exists()


def _link_packages(place: Path) -> None:
    """Make the packages of this process importable there too."""
    (own,) = (place / "lib").glob("python*/site-packages")
    lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
    (own / "installed_with_nemo_gym.pth").write_text("\n".join(lines) + "\n")


async def _run(folder: Path, *argv: str) -> None:
    result = await run_program(argv, folder=folder, env=os.environ, seconds=INSTALL_S)
    if result.exit_code != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()[-20:]
        lines = "".join(f"\n  | {line}" for line in lines)
        how = "ran out of time" if result.exit_code is None else "failed"
        raise GymError(f"installing the requirements of {folder} {how} after {result.seconds:.0f} s:{lines}")


@asynccontextmanager
async def _lock(path: Path) -> AsyncGenerator[None, None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


_PIP: Final = ("install", "--quiet", "--disable-pip-version-check", "--no-input")
_READY: Final = ".ready"
