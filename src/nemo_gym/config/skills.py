"""Skill folders: the skills in a folder, and the folder's digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.yaml_files import mapping_of

SKILL_FILE: Final = "SKILL.md"


class Skill(msgspec.Struct, frozen=True, omit_defaults=True):
    """The front matter of a `SKILL.md`."""

    name: str
    description: str | None = None
    version: str | None = None


class Skills(msgspec.Struct, frozen=True):
    """The content of the column `skills_ref`."""

    path: str
    hash: str
    """The first 12 hex digits of a SHA-256 over paths and contents."""
    skills: list[Skill]


def load_skills(path: str, roots: Sequence[Path]) -> Skills:
    """The skills in a folder, absolute or relative to a search root: each a folder with a `SKILL.md`, or the
    folder itself.

    Raises:
        ConfigError: there is no such folder, no skill in it, or one that can't be read.
    """
    places = [root / Path(path).expanduser() for root in roots]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise ConfigError(f"skills {path}: there is no such folder (looked in {', '.join(map(str, roots))})")
    files = sorted(folder.rglob(SKILL_FILE))
    if not files:
        raise ConfigError(f"skills {folder}: no {SKILL_FILE} in it")
    return Skills(path, digest(folder), [read_skill(file) for file in files])


def read_skill(path: Path) -> Skill:
    """The front matter of a skill.

    Raises:
        ConfigError: it has none, or one that can't be read.
    """
    try:
        opening, _, rest = path.read_text(encoding="utf-8").partition("---\n")
        front, closing, _ = rest.partition("\n---")
        if opening.strip() or not closing:
            raise ConfigError(f"{path}: begins with no front matter between lines of `---`")
        fields = mapping_of("\n" + front, path)
        texts = {name: str(value) for name, value in fields.items() if value is not None}
        return msgspec.convert(texts, Skill)
    except (OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None


def digest(folder: Path) -> str:
    """A digest of the paths and the bytes of all files; links are left out."""
    hasher = hashlib.sha256()
    for file in files_of(folder):
        hasher.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return hasher.hexdigest()[:12]


def files_of(folder: Path) -> list[Path]:
    """The files below a folder, links left out, in a fixed order."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
