"""Finds the files of each split of a repository from its card or from file names, as the hub does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias, cast

from nemo_gym.wire.json_values import objects_of

Splits: TypeAlias = dict[str, list[str]]
"""The files of each split, by its name."""


def find_splits(files: Sequence[str], card: Mapping[str, Any]) -> Splits:
    """The splits of the card's default configuration, or else those in the names of the data files. The first
    word in a name that means a split counts. Without any split, all files are `train`."""
    return dict(_of_card(card, files)) or _of_names([file for file in files if file.endswith(_DATA)])


def _of_card(card: Mapping[str, Any], files: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    configs = objects_of(card.get("configs"))
    configs = [config for config in configs if config.get("config_name") == "default"] or configs
    paths: Any = configs[0].get("data_files") if configs else None
    entries = [{"split": "train", "path": paths}] if isinstance(paths, str) else objects_of(paths)
    for entry in entries:
        split, path = entry.get("split"), entry.get("path")
        patterns = cast("list[Any]", path) if isinstance(path, list) else [path]
        if isinstance(split, str) and _SPLIT.fullmatch(split):
            yield split, [file for file in files if any(fnmatchcase(file, str(one)) for one in patterns)]


def _of_names(files: Sequence[str]) -> Splits:
    splits: Splits = {}
    for file in files:
        words = re.split(r"[^a-z]+", str(PurePosixPath(file).with_suffix("")).lower())
        split = next((_WORDS[word] for word in words if word in _WORDS), None)
        if split:
            splits.setdefault(split, []).append(file)
    return splits or ({"train": list(files)} if files else {})


_SPLIT: Final = re.compile(r"\w[\w.-]{0,63}")
"""The names of splits that can be names of files."""
_DATA: Final = (".jsonl", ".jsonl.gz", ".json", ".csv", ".parquet")
_WORDS: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
