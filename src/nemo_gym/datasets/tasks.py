"""Finds the tasks of a run: a file, the data sets that its agents declare, or the environment's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nemo_gym.config.instances import Instance
from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.config.sources import find_file
from nemo_gym.datasets.declared import declared_source, fetch_missing
from nemo_gym.runs.task_sources import Source
from nemo_gym.wire.errors import UsageError


@dataclass(frozen=True, slots=True)
class FoundTasks:
    """The sources of the tasks of a run."""

    split: str
    sources: tuple[Source, ...]
    without: tuple[str, ...] = ()
    """Agents without tasks."""
    fetched: tuple[Path, ...] = ()
    """Files that had to be downloaded."""


def find_tasks(
    agents: Sequence[Instance],
    settings: RunSettings,
    roots: Sequence[Path],
    own: Callable[[Instance, str], Source | None],
) -> FoundTasks:
    """The file of the settings; else for each agent its data sets, downloaded where they are not here, or
    where it declares none what its environment has of its own.

    Args:
        own: the tasks of a split that an agent's environment has of its own, if it has any.

    Raises:
        UsageError: there is no source of tasks, or a data set has no file and doesn't say where to get it.
        GymError: a data set can't be downloaded.
        ConfigError: a prompt file can't be read.
    """
    prompt = load_prompt(settings.prompt_config, roots) if settings.prompt_config else None
    kinds = sorted({dataset.type for agent in agents for dataset in agent.datasets})
    split = settings.split or (kinds[0] if len(kinds) == 1 else "train")
    if settings.input:
        path = find_file(settings.input, roots) or Path(settings.input)
        return FoundTasks(split, (Source(path=path, prompt=prompt),))
    fetched = fetch_missing(agents, [split], roots, token=settings.hf_token)
    sources: list[Source] = []
    without: list[str] = []
    for agent in agents:
        declared = [dataset for dataset in agent.datasets if dataset.type == split]
        own_source = None if declared else own(agent, split)
        task_sources = (
            [own_source] if own_source else [declared_source(agent, dataset, roots) for dataset in declared]
        )
        sources += [replace(source, prompt=prompt or source.prompt) for source in task_sources]
        without += [] if task_sources else [agent.name]
    if not sources:
        have = f"there is {', '.join(kinds)}" if kinds else "none is declared"
        raise UsageError(
            f"no data set of type {split!r}: {have}. Choose a split, or give an input file"
        ).about("split", "input")
    return FoundTasks(split, tuple(sources), tuple(without), tuple(fetched))
