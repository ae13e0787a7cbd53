"""Skill folders: what they are called, their digest, and copying them to a harness (CONTRACT 3.11)."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel

from nemo_gym.compat.errors import InvalidInput
from nemo_gym.compat.paths import PARENT_DIR

SKILL_MD_FILENAME: Final = "SKILL.md"


class SkillMetadata(BaseModel):
    name: str
    description: str | None = None
    version: str | None = None


class SkillsRef(BaseModel):
    """Which skills a rollout had."""

    path: str
    hash: str
    """The first 12 hex digits of a SHA-256 over paths and contents."""
    skills: list[SkillMetadata]


class SkillsConfig(BaseModel):
    path: str


def load_skill_directory(path: str) -> SkillsRef:
    """The skills in a folder: each a folder with a `SKILL.md`, or the folder itself.

    Raises:
        InvalidInput: there is no such folder, or no skill in it.
    """
    root = _resolve(path)
    found = sorted(root.rglob(SKILL_MD_FILENAME))
    if not found:
        raise InvalidInput(f"skills {path}: no {SKILL_MD_FILENAME} in it")
    return SkillsRef(path=path, hash=hash_skill_dir(root), skills=[parse_skill_md(file) for file in found])


def hash_skill_dir(root: Path) -> str:
    """A digest of every file's path and bytes."""
    digest = hashlib.sha256()
    for file in _files(root):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def parse_skill_md(skill_md_path: Path) -> SkillMetadata:
    """The front matter of a skill.

    Raises:
        InvalidInput: it has none, or one that can't be read.
    """
    text = skill_md_path.read_text(encoding="utf-8")
    opening, _, rest = text.partition("---\n")
    front, closing, _ = rest.partition("\n---")
    if opening.strip() or not closing:
        raise InvalidInput(f"{skill_md_path}: begins with no front matter between lines of `---`")
    try:
        fields = cast("Any", OmegaConf.to_container(OmegaConf.create(front)))
        return SkillMetadata.model_validate({name: str(value) for name, value in fields.items()})
    except (OmegaConfBaseException, ValueError, AttributeError) as error:
        raise InvalidInput(f"{skill_md_path}: {error}") from None


def stage_skills(path: str, dest_skills_dir: Path) -> None:
    """Copy the skills of a folder to where a harness looks for them; links are not followed.

    Raises:
        InvalidInput: there is no such folder.
    """
    root = _resolve(path)
    for file in _files(root):
        target = dest_skills_dir / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _resolve(path: str) -> Path:
    for candidate in (Path(path).expanduser(), PARENT_DIR / path):
        if candidate.is_dir():
            return candidate
    raise InvalidInput(f"skills {path}: there is no such folder")


def _files(root: Path) -> list[Path]:
    return sorted(file for file in root.rglob("*") if file.is_file() and not file.is_symlink())
