"""What the code in a folder says that it needs beside this package."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from nemo_gym.wire.errors import GymError


def requirements_of(folder: Path) -> list[str]:
    """What pip is to install, a requirement or an option each; this package itself is left out.

    Raises:
        GymError: both `requirements.txt` and `pyproject.toml` are there.
    """
    listed, project = folder / "requirements.txt", folder / "pyproject.toml"
    if listed.exists() and project.exists():
        raise GymError(f"{folder} has both requirements.txt and pyproject.toml: keep one of them")
    if project.exists():
        return ["--editable", str(folder)]
    arguments: list[str] = []
    for line in listed.read_text().splitlines() if listed.exists() else ():
        wanted = _COMMENT.sub("", line).strip()
        if not wanted or _OURSELVES.match(wanted) or _is_our_checkout(wanted, folder):
            continue
        option = _OPTION.fullmatch(wanted)
        if option and option[1] in _FILES:
            arguments += [option[1], str(folder / option[2])]
        elif option:
            arguments += [option[1], option[2]]
        else:
            arguments.append(str(folder / wanted) if wanted.startswith(".") else wanted)
    return arguments


def _is_our_checkout(wanted: str, folder: Path) -> bool:
    """Whether a requirement is a path, such as `-e ../../`, to the root of the servers, which stands for this
    package unless another project lies there."""
    path = _EXTRAS.sub("", _EDITABLE.sub("", wanted).strip("'\"")).removeprefix("file:")
    if not path.startswith((".", "/")) or (folder / path).resolve() != folder.resolve().parents[1]:
        return False
    project = folder / path / "pyproject.toml"
    try:
        name = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name", "")
    except FileNotFoundError:
        return not (folder / path / "setup.py").exists()
    except (OSError, ValueError):
        return False
    return _OURSELVES.fullmatch(name) is not None


def unmet(folder: Path) -> list[str]:
    """Those of the requirements that what is installed here does not surely meet. An option, a path, a URL
    and an extra count as unmet.

    Raises:
        GymError: as `requirements_of`.
    """
    return [one for one in requirements_of(folder) if not _is_installed(one)]


def _is_installed(text: str) -> bool:
    try:
        requirement = Requirement(text)
        if requirement.url or requirement.extras:
            return False
        if requirement.marker is not None and not requirement.marker.evaluate():
            return True
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except (InvalidRequirement, InvalidVersion, PackageNotFoundError, UndefinedEnvironmentName):
        return False


_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_OURSELVES: Final = re.compile(r"((-e|--editable)[ =]\s*)?nemo[-_.]gym\b", re.IGNORECASE)
_EDITABLE: Final = re.compile(r"(-e|--editable)(\s*=\s*|\s+|(?=[./'\"]))")
_EXTRAS: Final = re.compile(r"\[[^\]]*\]$")
_OPTION: Final = re.compile(r"(-[a-z]|--[a-z-]+)(?:\s+|=)(.+)")
_FILES: Final = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-f", "--find-links")
