"""Skill folders: their names, their digest, and copying them to a harness."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import msgspec
from pydantic import BaseModel

from nemo_gym.compat.errors import InvalidInput
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.skills import SKILL_FILE, digest, files_of, load_skills, read_skill
from nemo_gym.serving.checkouts import checkouts

SKILL_MD_FILENAME: Final = SKILL_FILE


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
    try:
        skills = load_skills(path, [Path(), *checkouts()])
    except ConfigError as error:
        raise InvalidInput(str(error)) from None
    return SkillsRef.model_validate(msgspec.to_builtins(skills))


def hash_skill_dir(root: Path) -> str:
    """A digest of every file's path and bytes."""
    return digest(root)


def parse_skill_md(skill_md_path: Path) -> SkillMetadata:
    """The front matter of a skill.

    Raises:
        InvalidInput: it has none, or one that can't be read.
    """
    try:
        return SkillMetadata.model_validate(msgspec.to_builtins(read_skill(skill_md_path)))
    except ConfigError as error:
        raise InvalidInput(str(error)) from None


def stage_skills(path: str, dest_skills_dir: Path) -> None:
    """Copy the skills of a folder to where a harness looks for them; links are not followed.

    Raises:
        InvalidInput: there is no such folder.
    """
    root = _resolve(path)
    for file in files_of(root):
        target = dest_skills_dir / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _resolve(path: str) -> Path:
    for candidate in (Path(path).expanduser(), *(root / path for root in checkouts())):
        if candidate.is_dir():
            return candidate
    raise InvalidInput(f"skills {path}: there is no such folder")
