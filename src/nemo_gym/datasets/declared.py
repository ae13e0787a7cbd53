"""The data sets that the agents of a configuration declare, as sources of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.config.datasets import Dataset, GitlabSource, HuggingFaceSource
from nemo_gym.config.instances import Instance
from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.sources import find_file
from nemo_gym.datasets.collate import Part
from nemo_gym.datasets.hub import Hub, HubError
from nemo_gym.runs.task_sources import Source
from nemo_gym.wire.errors import UsageError

MODES: Final = {
    "train_preparation": ("train", "validation", "benchmark"),
    "example_validation": ("example",),
}
"""The types of data sets of each mode of `gym dataset collate`."""


def declared_source(agent: Instance, dataset: Dataset, roots: Sequence[Path]) -> Source:
    """The rows of a data set whose file exists.

    Raises:
        UsageError: the file is missing.
        ConfigError: the prompt can't be read.
    """
    path = find_file(dataset.jsonl_fpath, roots)
    if path is None:
        raise UsageError(_missing(agent, dataset))
    return _source(agent, dataset, path, roots)


def declared_parts(agents: Sequence[Instance], types: Sequence[str], roots: Sequence[Path]) -> list[Part]:
    """All data sets of these types.

    Raises:
        UsageError: there are no such data sets, or files are missing; the message names all of these.
        ConfigError: a prompt can't be read.
    """
    parts: list[Part] = []
    missing: list[str] = []
    for agent, dataset in _of_types(agents, types):
        path = find_file(dataset.jsonl_fpath, roots)
        if path is None:
            missing.append(_missing(agent, dataset))
            continue
        parts.append(Part(dataset.type, path, _source(agent, dataset, path, roots), _facts(dataset)))
    if missing:
        raise UsageError("\n  ".join(["data sets without a file:", *missing]))
    if not parts:
        others = sorted({dataset.type for agent in agents for dataset in agent.datasets})
        hint = f"there is {', '.join(others)}" if others else "none is declared"
        raise UsageError(f"no data set of type {' or '.join(types)}: {hint}")
    return parts


def fetch_missing(
    agents: Sequence[Instance],
    types: Sequence[str],
    roots: Sequence[Path],
    *,
    token: str = "",
    store: str = "huggingface",
) -> list[Path]:
    """Download the missing files of data sets of these types, and return their paths.

    Args:
        token: for the hub.
        store: `huggingface` or `gitlab`, for a data set that names both in the older form.

    Raises:
        UsageError: a data set has no source, or its store is not supported.
        GymError: the hub can't be reached, or does not have the file.
    """
    paths: list[Path] = []
    for agent, dataset in _of_types(agents, types):
        if find_file(dataset.jsonl_fpath, roots) is not None:
            continue
        path = Path(dataset.jsonl_fpath).expanduser()
        match origin(dataset, store):
            case HuggingFaceSource() as source:
                try:
                    _fetch(Hub(token), source, dataset.type, path)
                except HubError as error:
                    raise HubError(f"{agent.name}: data set {dataset.name!r}: {error}") from None
            case GitlabSource():
                raise UsageError(f"{_missing(agent, dataset)}. {NO_GITLAB}")
            case None:
                raise UsageError(_missing(agent, dataset))
        paths.append(path)
    return paths


def _fetch(hub: Hub, source: HuggingFaceSource, split: str, path: Path) -> None:
    if source.artifact_fpath:
        hub.fetch_file(source.repo_id, source.artifact_fpath, path)
    else:
        hub.fetch_split(source.repo_id, split, path)


def origin(dataset: Dataset, store: str) -> HuggingFaceSource | GitlabSource | None:
    """The source of a data set in the current or the older form; None without a source.

    Raises:
        UsageError: the older form is wrong.
    """
    if dataset.source is not None:
        return dataset.source
    older: dict[str, tuple[Any, type[HuggingFaceSource | GitlabSource]]] = {
        "huggingface": (dataset.huggingface_identifier, HuggingFaceSource),
        "gitlab": (dataset.gitlab_identifier, GitlabSource),
    }
    identifiers = {name: pair for name, pair in older.items() if pair[0]}
    name = store if store in identifiers else next(iter(identifiers), None)
    if name is None:
        return None
    identifier, kind = identifiers[name]
    try:
        return msgspec.convert({**identifier, "type": name}, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"data set {dataset.name!r}: {name}_identifier: {error}") from None


NO_GITLAB: Final = (
    "The GitLab registry (MLflow) is not offered here: put the data set on a Hugging Face hub "
    "(`gym dataset upload --storage hf`), or fetch the file with `mlflow artifacts download`"
)


def _of_types(agents: Sequence[Instance], types: Sequence[str]) -> list[tuple[Instance, Dataset]]:
    return [(agent, dataset) for agent in agents for dataset in agent.datasets if dataset.type in types]


def _source(agent: Instance, dataset: Dataset, path: Path, roots: Sequence[Path]) -> Source:
    prompt = load_prompt(dataset.prompt_config, roots) if dataset.prompt_config else None
    return Source(path=path, agent=agent.name, num_repeats=dataset.num_repeats, prompt=prompt)


def _missing(agent: Instance, dataset: Dataset) -> str:
    match origin(dataset, "huggingface"):
        case HuggingFaceSource(repo_id=repository):
            how = f"`gym dataset collate --download` gets it from {repository}"
        case None if dataset.prepare_script:
            how = f"`gym eval prepare` makes it with {dataset.prepare_script}"
        case _:
            how = "put it there"
    return f"{agent.name}: data set {dataset.name!r} has no file {dataset.jsonl_fpath}: {how}"


def _facts(dataset: Dataset) -> dict[str, Any]:
    """The fields that the original package writes, which exclude two fields of benchmarks."""
    fields: dict[str, Any] = msgspec.to_builtins(dataset)
    return {key: value for key, value in fields.items() if key not in ("prepare_script", "prompt_config")}
