"""What the code in a folder says that it needs beside this package."""

from __future__ import annotations

import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

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
    """Those of the requirements that what is installed here does not surely meet: whatever is not a name
    with plain versions counts as unmet.

    Raises:
        GymError: as `requirements_of`.
    """
    return [one for one in requirements_of(folder) if not _is_installed(one)]


def _is_installed(requirement: str) -> bool:
    plain = _PLAIN.fullmatch(requirement)
    if plain is None:
        return False
    try:
        have = _release(version(plain["name"]).partition("+")[0])
    except PackageNotFoundError:
        return False
    bounds = [bound.strip() for bound in plain["bounds"].split(",") if bound.strip()]
    return not bounds or (have is not None and all(_meets(have, bound) for bound in bounds))


def _meets(have: tuple[int, ...], bound: str) -> bool:
    match = _BOUND.fullmatch(bound)
    wanted = _release(match[2]) if match else None
    if match is None or wanted is None:
        return False
    if match[1] == "~=":
        return have >= wanted and have[: len(wanted) - 1] == wanted[:-1]
    size = max(len(have), len(wanted))
    return _COMPARE[match[1]](_padded(have, size), _padded(wanted, size))


def _release(text: str) -> tuple[int, ...] | None:
    """`1.26.4` as numbers; None for pre-releases and other forms."""
    return tuple(map(int, text.split("."))) if _RELEASE.fullmatch(text) else None


def _padded(release: tuple[int, ...], size: int) -> tuple[int, ...]:
    return release + (0,) * (size - len(release))


_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_OURSELVES: Final = re.compile(r"((-e|--editable)[ =]\s*)?nemo[-_.]gym\b", re.IGNORECASE)
_EDITABLE: Final = re.compile(r"(-e|--editable)(\s*=\s*|\s+|(?=[./'\"]))")
_EXTRAS: Final = re.compile(r"\[[^\]]*\]$")
_OPTION: Final = re.compile(r"(-[a-z]|--[a-z-]+)(?:\s+|=)(.+)")
_FILES: Final = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-f", "--find-links")
_PLAIN: Final = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<bounds>(?:[<>=!~][^;@\[\]]*)?)")
_BOUND: Final = re.compile(r"(==|!=|<=|>=|<|>|~=)\s*([\d.]+)")
_RELEASE: Final = re.compile(r"\d+(\.\d+)*")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
