"""Downloads a data set from a hub: one file, one split, or every split."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.datasets.hub import Hub
from nemo_gym.datasets.settings import DownloadSettings
from nemo_gym.wire.errors import UsageError


def download(settings: DownloadSettings) -> list[Path]:
    """Download a data set and return the new files.

    Raises:
        UsageError: a setting is missing, or two settings exclude each other.
        GymError: the hub can't be reached, or does not have the data set.
    """
    if not settings.repo_id:
        raise UsageError("which data set? It is named OWNER/NAME").about("repo_id")
    if settings.artifact_fpath and settings.split:
        raise UsageError("an artifact is one file and a split the rows of several: give one of them").about(
            "artifact", "split"
        )
    if not (settings.output_fpath or settings.output_dirpath):
        raise UsageError("where to? Name a file or a folder").about("output", "output_dir")
    hub, folder = Hub(settings.hf_token), Path(settings.output_dirpath)
    if settings.artifact_fpath:
        path = Path(settings.output_fpath or folder / Path(settings.artifact_fpath).name)
        hub.fetch_file(settings.repo_id, settings.artifact_fpath, path, revision=settings.revision)
        return [path]
    if settings.output_fpath and not settings.split:
        raise UsageError("the output is one file: name a split, or give a folder").about(
            "split", "output_dir"
        )
    splits = [settings.split] if settings.split else hub.splits(settings.repo_id, revision=settings.revision)
    if not splits:
        raise UsageError(f"{settings.repo_id} has no data files")
    paths = [Path(settings.output_fpath or folder / f"{split}.jsonl") for split in splits]
    for split, path in zip(splits, paths, strict=True):
        hub.fetch_split(settings.repo_id, split, path, revision=settings.revision)
    return paths
