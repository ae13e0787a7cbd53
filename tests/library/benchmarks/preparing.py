"""Prepare benchmarks, and read their rows as a run does."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from nemo_gym.config.prompts import load_prompt
from nemo_gym.config.resolve import Config
from nemo_gym.config.sources import search_roots
from nemo_gym.config.workloads import Workload, find_workloads
from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.runs.task_sources import Source, source_rows
from nemo_gym.wire.task import Row

BENCHMARKS = {one.name: one for one in find_workloads(search_roots()) if one.kind == "benchmark"}


def prepare(workload: Workload, **arguments: Any) -> Path:
    """Write the file of a benchmark into the working directory, and return its path."""
    return runpy.run_path(str(workload.folder / "prepare.py"))["prepare"](**arguments)


def rows_of(workload: Workload, path: Path) -> tuple[Environment, list[Row]]:
    """The environment of a benchmark, and its rows with their prompts."""
    config: Config = workload.resolve()
    (server,), (agent,) = config.of("resources_servers"), config.of("responses_api_agents")
    environment = find_environment(server.implementation)(
        {key: value for key, value in server.settings.items() if key not in ("domain", "description")}
    )
    (dataset,) = agent.datasets
    prompt = load_prompt(dataset.prompt_config, search_roots()) if dataset.prompt_config else None
    source = Source(path=path, prompt=prompt)
    rows = source_rows(environment, (source,), split="benchmark", seed=0, limit=None)
    return environment, [row for row, _ in rows]
