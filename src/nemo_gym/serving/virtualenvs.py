"""Virtual environments for implementations that name requirements (CONTRACT 4.8)."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import site
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from nemo_gym.environments.process import run_program
from nemo_gym.wire.errors import GymError

INSTALL_S: Final = 1800.0
"""Seconds that an installation may take."""


async def python_for(folder: Path, cache: Path) -> str:
    """The interpreter for the code in a folder: that of a virtual environment of its own when
    `requirements.txt` or `pyproject.toml` names what it needs beside this package, else this one.

    The virtual environment's place is named after what is in it, so folders with the same requirements
    share one; a lock keeps two processes from making it at once. It also sees everything that is installed
    here, after what it has itself.

    Args:
        cache: folder of all virtual environments.

    Raises:
        GymError: both files are there, or the installation failed.
    """
    arguments = _requirements(folder)
    if not arguments:
        return sys.executable
    place = cache / _digest(arguments)
    python = place / "bin" / "python"
    async with _locked(place.with_suffix(".lock")):
        if not _is_ready(place):
            shutil.rmtree(place, ignore_errors=True)
            await _run(folder, sys.executable, "-m", "venv", "--without-pip", str(place))
            _show_installed(place)
            await _run(folder, sys.executable, "-m", "pip", "--python", str(python), *_PIP, *arguments)
            (place / _READY).touch()
    return str(python)


def _requirements(folder: Path) -> list[str]:
    """What pip is to install, a requirement or an option each."""
    listed, project = folder / "requirements.txt", folder / "pyproject.toml"
    if listed.exists() and project.exists():
        raise GymError(f"{folder} has both requirements.txt and pyproject.toml: keep one of them")
    if project.exists():
        return ["--editable", str(folder)]
    arguments: list[str] = []
    for line in listed.read_text().splitlines() if listed.exists() else ():
        wanted = _COMMENT.sub("", line).strip()
        if not wanted or _OURSELVES.match(wanted):
            continue
        option = _OPTION.fullmatch(wanted)
        if option and option[1] in _FILES:
            arguments += [option[1], str(folder / option[2])]
        elif option:
            arguments += [option[1], option[2]]
        else:
            arguments.append(str(folder / wanted) if wanted.startswith(".") else wanted)
    return arguments


def _digest(arguments: list[str]) -> str:
    """Files that are referred to count by their content."""
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


def _show_installed(place: Path) -> None:
    """Make what is installed here importable there too."""
    (own,) = (place / "lib").glob("python*/site-packages")
    lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
    (own / "installed_with_nemo_gym.pth").write_text("\n".join(lines) + "\n")


async def _run(folder: Path, *argv: str) -> None:
    ended = await run_program(argv, folder=folder, env=os.environ, seconds=INSTALL_S)
    if ended.exit_code != 0:
        said = (ended.stderr or ended.stdout).strip().splitlines()[-20:]
        lines = "".join(f"\n  | {line}" for line in said)
        how = "ran out of time" if ended.exit_code is None else "failed"
        raise GymError(f"installing the requirements of {folder} {how} after {ended.seconds:.0f} s:{lines}")


@asynccontextmanager
async def _locked(path: Path) -> AsyncGenerator[None, None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


_PIP: Final = ("install", "--quiet", "--disable-pip-version-check", "--no-input")
_READY: Final = ".ready"
_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_OURSELVES: Final = re.compile(r"((-e|--editable)[ =]\s*)?nemo[-_.]gym\b", re.IGNORECASE)
_OPTION: Final = re.compile(r"(-[a-z]|--[a-z-]+)(?:\s+|=)(.+)")
_FILES: Final = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-f", "--find-links")
