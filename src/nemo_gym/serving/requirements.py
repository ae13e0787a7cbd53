"""The requirements of the code in a folder, besides this package."""

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
    """Arguments for pip: requirements and options, without this package itself.

    Raises:
        GymError: both `requirements.txt` and `pyproject.toml` are there.
    """
    requirements, project = folder / "requirements.txt", folder / "pyproject.toml"
    if requirements.exists() and project.exists():
        raise GymError(f"{folder} has both requirements.txt and pyproject.toml: keep one of them")
    if project.exists():
        return ["--editable", str(folder)]
    arguments: list[str] = []
    for line in requirements.read_text().splitlines() if requirements.exists() else ():
        requirement = _COMMENT.sub("", line).strip()
        if not requirement or _OURSELVES.match(requirement) or _is_our_checkout(requirement, folder):
            continue
        option = _OPTION.fullmatch(requirement)
        if option and option[1] in _FILES:
            arguments += [option[1], str(folder / option[2])]
        elif option:
            arguments += [option[1], option[2]]
        else:
            arguments.append(str(folder / requirement) if requirement.startswith(".") else requirement)
    return arguments


def _is_our_checkout(requirement: str, folder: Path) -> bool:
    """Whether a requirement is a path, such as `-e ../../`, to the root of the servers. It means this
    package, unless the root holds another project."""
    path = _EXTRAS.sub("", _EDITABLE.sub("", requirement).strip("'\"")).removeprefix("file:")
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
    """The requirements that the installed packages may not meet. An option, a path, a URL and an extra count
    as unmet.

    Raises:
        GymError: as for `requirements_of`.
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
