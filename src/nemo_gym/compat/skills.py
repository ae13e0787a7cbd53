"""Skill folders: reads their names and digest, and copies them to a harness."""

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
    """A reference to the skills of a rollout."""

    path: str
    hash: str
    """The first 12 hex digits of a SHA-256 over paths and contents."""
    skills: list[SkillMetadata]


class SkillsConfig(BaseModel):
    path: str


def load_skill_directory(path: str) -> SkillsRef:
    """The skills in a folder. Each is a folder with a `SKILL.md`; the folder itself may be one.

    Raises:
        InvalidInput: there is no such folder, or no skill in it.
    """
    try:
        skills = load_skills(path, [Path(), *checkouts()])
    except ConfigError as error:
        raise InvalidInput(str(error)) from None
    return SkillsRef.model_validate(msgspec.to_builtins(skills))


def hash_skill_dir(root: Path) -> str:
    """A digest of the paths and bytes of all files."""
    return digest(root)


def parse_skill_md(skill_md_path: Path) -> SkillMetadata:
    """The front matter of a skill.

    Raises:
        InvalidInput: it has no front matter, or one that can't be read.
    """
    try:
        return SkillMetadata.model_validate(msgspec.to_builtins(read_skill(skill_md_path)))
    except ConfigError as error:
        raise InvalidInput(str(error)) from None


def stage_skills(path: str, dest_skills_dir: Path) -> None:
    """Copy the skills of a folder into the folder of a harness. Links are not followed.

    Raises:
        InvalidInput: there is no such folder.
    """
    places = (Path(path).expanduser(), *(root / path for root in checkouts()))
    root = next((place for place in places if place.is_dir()), None)
    if root is None:
        raise InvalidInput(f"skills {path}: there is no such folder")
    for file in files_of(root):
        target = dest_skills_dir / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
