"""Getting a data set from a hub: one file, one split, or every split."""

from __future__ import annotations

from pathlib import Path

from nemo_gym.datasets.hub import Hub
from nemo_gym.datasets.settings import DownloadSettings
from nemo_gym.wire.errors import UsageError


def download(asked: DownloadSettings) -> list[Path]:
    """The files that were written.

    Raises:
        UsageError: what is asked for is not said, or can't be had together.
        GymError: the hub can't be reached, or hasn't got it.
    """
    if not asked.repo_id:
        raise UsageError("which data set? It is named OWNER/NAME").about("repo_id")
    if asked.artifact_fpath and asked.split:
        raise UsageError("an artifact is one file and a split the rows of several: give one of them").about(
            "artifact", "split"
        )
    if not (asked.output_fpath or asked.output_dirpath):
        raise UsageError("where to? Name a file or a folder").about("output", "output_dir")
    hub, folder = Hub(asked.hf_token), Path(asked.output_dirpath)
    if asked.artifact_fpath:
        path = Path(asked.output_fpath or folder / Path(asked.artifact_fpath).name)
        hub.fetch_file(asked.repo_id, asked.artifact_fpath, path, revision=asked.revision)
        return [path]
    if asked.output_fpath and not asked.split:
        raise UsageError("the output is one file: name a split, or give a folder").about(
            "split", "output_dir"
        )
    splits = [asked.split] if asked.split else hub.splits(asked.repo_id, revision=asked.revision)
    if not splits:
        raise UsageError(f"{asked.repo_id} has no data files")
    paths = [Path(asked.output_fpath or folder / f"{split}.jsonl") for split in splits]
    for split, path in zip(splits, paths, strict=True):
        hub.fetch_split(asked.repo_id, split, path, revision=asked.revision)
    return paths
