"""The tasks of a configured run: a file, the data sets that its agents declare, or the environment's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nemo_gym.config.datasets import Dataset, HuggingFaceSource
from nemo_gym.config.instances import Instance
from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.config.sources import find_file
from nemo_gym.runs.sources import Source
from nemo_gym.wire.errors import UsageError


def find_tasks(
    agents: Sequence[Instance],
    asked: RunSettings,
    roots: Sequence[Path],
    own: Callable[[Instance, str], Source | None],
) -> tuple[str, tuple[Source, ...]]:
    """The split, and where its tasks are: a file that was asked for; else for each agent its data sets, or
    where it declares none what its environment has of its own. An agent without any is mentioned.

    Args:
        own: the tasks of a split that an agent's environment has of its own, if it has any.

    Raises:
        UsageError: nobody says where tasks are, or a data set has no file.
        ConfigError: a prompt file can't be read.
    """
    prompt = load_prompt(asked.prompt_config, roots) if asked.prompt_config else None
    kinds = sorted({dataset.type for agent in agents for dataset in agent.datasets})
    split = asked.split or (kinds[0] if len(kinds) == 1 else "train")
    if asked.input_jsonl_fpath:
        path = find_file(asked.input_jsonl_fpath, roots) or Path(asked.input_jsonl_fpath)
        return split, (Source(path=path, prompt=prompt),)
    sources: list[Source] = []
    without: list[str] = []
    for agent in agents:
        declared = [dataset for dataset in agent.datasets if dataset.type == split]
        made = None if declared else own(agent, split)
        found = [made] if made else [_source(agent, dataset, roots) for dataset in declared]
        sources += [replace(source, prompt=prompt or source.prompt) for source in found]
        without += [] if found else [agent.name]
    if not sources:
        have = f"there is {', '.join(kinds)}" if kinds else "none is declared"
        raise UsageError(f"no data set of type {split!r}: {have}. Pass --split, or --input FILE")
    for name in without:
        sys.stderr.write(f"gym: note: {name} has no data set of type {split!r}\n")
    return split, tuple(sources)


def _source(agent: Instance, dataset: Dataset, roots: Sequence[Path]) -> Source:
    prompt = load_prompt(dataset.prompt_config, roots) if dataset.prompt_config else None
    path = _file(agent, dataset, roots)
    return Source(path=path, agent=agent.name, repeats=dataset.num_repeats, prompt=prompt)


def _file(agent: Instance, dataset: Dataset, roots: Sequence[Path]) -> Path:
    found = find_file(dataset.jsonl_fpath, roots)
    if found is not None:
        return found
    match dataset.source:
        case HuggingFaceSource(repo_id=repository):
            how = f"download it from {repository}"
        case None if dataset.prepare_script:
            how = f"{dataset.prepare_script} makes it"
        case _:
            how = "put it there"
    what = f"{agent.name}: data set {dataset.name!r} has no file {dataset.jsonl_fpath}"
    raise UsageError(f"{what}: {how}, or pass --input FILE")
