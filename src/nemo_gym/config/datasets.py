"""Reads and checks the `datasets` of an agent's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from nemo_gym.config.errors import nearest
from nemo_gym.config.tree import Tree

LICENSES: Final = (
    "Apache 2.0",
    "MIT",
    "Creative Commons Attribution 4.0 International",
    "Creative Commons Attribution-ShareAlike 4.0 International",
    "CC BY-SA 4.0",
    "CC BY-NC 3.0",
    "NVIDIA Internal Use Only, Do Not Distribute",
    "NVIDIA Evaluation Dataset License Agreement",
    "TBD",
    "GNU General Public License v3.0",
)
"""The values that the original package accepts; any other text gets a notice."""


class HuggingFaceSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="huggingface"):
    repo_id: str
    artifact_fpath: str | None = None


class GitlabSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="gitlab"):
    dataset_name: str
    version: str
    artifact_fpath: str


class Dataset(msgspec.Struct, frozen=True):
    """One data set of an agent."""

    name: str
    type: Literal["train", "validation", "example", "benchmark"]
    jsonl_fpath: str
    num_repeats: Annotated[int, msgspec.Meta(ge=1)] = 1
    source: HuggingFaceSource | GitlabSource | None = None
    huggingface_identifier: dict[str, Any] | None = None
    gitlab_identifier: dict[str, Any] | None = None
    license: str | None = None
    prepare_script: str | None = None
    """The Python file whose `prepare` writes the file of a benchmark."""
    prompt_config: str | None = None


def read_datasets(value: Any) -> tuple[list[Dataset], list[str], list[str]]:
    """The data sets, their problems and their notices, a line each that begins with `datasets.<index>`."""
    if not isinstance(value, list):
        return [], [f"datasets: expected a list, got {type(value).__name__}"], []
    datasets: list[Dataset] = []
    problems: list[str] = []
    notices: list[str] = []
    for index, item in enumerate(cast("list[Any]", value)):
        where = f"datasets.{index}"
        try:
            dataset = msgspec.convert(item, Dataset)
        except msgspec.ValidationError as error:
            problems.append(f"{where}: {error}")
            continue
        datasets.append(dataset)
        problems += [f"{where}: {problem}" for problem in _problems(dataset)]
        notices += [f"{where}: {notice}" for notice in _notices(dataset, cast("Tree", item))]
    return datasets, problems, notices


def _problems(dataset: Dataset) -> Iterator[str]:
    if dataset.type in ("train", "validation") and not dataset.license:
        yield f"a {dataset.type} data set needs a license"
    if dataset.type == "benchmark" and not dataset.prepare_script:
        yield "a benchmark needs a prepare_script"
    if dataset.source and (dataset.huggingface_identifier or dataset.gitlab_identifier):
        yield "give source, or the older huggingface_identifier and gitlab_identifier, not both"


def _notices(dataset: Dataset, fields: Tree) -> Iterator[str]:
    if dataset.license and dataset.license not in LICENSES:
        yield f"license {dataset.license!r} is taken as it is.{nearest(dataset.license, LICENSES)}"
    for old in ("huggingface_identifier", "gitlab_identifier"):
        if fields.get(old):
            yield f"{old} is the older way to write source"
