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
class RunTasks:
    """The sources of the tasks of a run."""

    split: str
    sources: tuple[Source, ...]
    idle_agents: tuple[str, ...] = ()
    """Agents without tasks."""
    downloads: tuple[Path, ...] = ()
    """New files from a hub."""


def find_tasks(
    agents: Sequence[Instance],
    settings: RunSettings,
    roots: Sequence[Path],
    own: Callable[[Instance, str], Source | None],
) -> RunTasks:
    """The tasks of the settings' file, or else of each agent's data sets. Missing files are downloaded. For
    an agent without data sets, the tasks are those of its environment.

    Args:
        own: returns the tasks of an agent's environment for a split, or None.

    Raises:
        UsageError: there are no tasks, or a data set has neither a file nor a source.
        GymError: a data set can't be downloaded.
        ConfigError: a prompt file can't be read.
    """
    prompt = load_prompt(settings.prompt_config, roots) if settings.prompt_config else None
    kinds = sorted({dataset.type for agent in agents for dataset in agent.datasets})
    split = settings.split or (kinds[0] if len(kinds) == 1 else "train")
    if settings.input:
        path = find_file(settings.input, roots) or Path(settings.input)
        return RunTasks(split, (Source(path=path, prompt=prompt),))
    downloads = fetch_missing(agents, [split], roots, token=settings.hf_token)
    sources: list[Source] = []
    idle_agents: list[str] = []
    for agent in agents:
        datasets = [dataset for dataset in agent.datasets if dataset.type == split]
        own_source = None if datasets else own(agent, split)
        task_sources = (
            [own_source] if own_source else [declared_source(agent, dataset, roots) for dataset in datasets]
        )
        sources += [replace(source, prompt=prompt or source.prompt) for source in task_sources]
        idle_agents += [] if task_sources else [agent.name]
    if not sources:
        hint = f"there is {', '.join(kinds)}" if kinds else "none is declared"
        raise UsageError(
            f"no data set of type {split!r}: {hint}. Choose a split, or give an input file"
        ).about("split", "input")
    return RunTasks(split, tuple(sources), tuple(idle_agents), tuple(downloads))
