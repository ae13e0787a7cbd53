"""Which environments run programs: a task of those costs a hundred times as much as one of the others."""

from __future__ import annotations

from nemo_gym.config.manifest_file import MANIFEST, read_manifest
from nemo_gym.environments.environment_info import library


def runs_programs(name: str) -> bool:
    """Whether the manifest of a built-in environment says that it has sandboxes."""
    return bool(read_manifest(library()[name] / MANIFEST).sandbox)
