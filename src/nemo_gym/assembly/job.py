"""`Assembly`: a run that is ready to start, made of what its caller says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from time import strftime
from typing import Any

from nemo_gym.assembly.arguments import Arguments
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.run import Job
from nemo_gym.runs.task_sources import Source
from nemo_gym.wire.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A run, and what has to exist around it."""

    job: Job
    settings: RunSettings
    """Those of the caller and those of the configuration together."""
    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    """The configuration as the servers have it; its secrets are plain text."""
    around: AbstractAsyncContextManager[None] | None = None
    """What has to be open while the run goes on, such as its servers."""


def assembly_of_arguments(
    arguments: Arguments, settings: RunSettings, search_dirs: Sequence[Path] = ()
) -> Assembly:
    """The run that the arguments name themselves, without a configuration.

    Raises:
        UsageError: the arguments leave something open or ask for what can't be honoured.
        ConfigError: the prompt file can't be read.
    """
    if search_dirs and not settings.prompt_config:
        raise UsageError(
            "configurations and prompts are looked for in the search folders, and there is none here"
        ).about("search_dir")
    arguments.check_choice(settings.agent or "")
    job = job_of(
        settings,
        environment=arguments.environment_spec(),
        model=arguments.model_spec(),
        agent=arguments.agent_spec(settings.agent or ""),
        input=_input(settings, search_dirs),
        output=output_path(settings, arguments.environment or "servers"),
        capture=CaptureSettings(arguments.capture_dir) if arguments.capture_dir else None,
    )
    return Assembly(job=job, settings=settings)


def job_of(
    settings: RunSettings,
    *,
    environment: EnvironmentSpec,
    model: ModelSpec,
    agent: AgentSpec,
    output: Path,
    **fields: Any,
) -> Job:
    """The job of these components with the settings of a run.

    Args:
        fields: of the job, such as `input` and `capture`.
    """
    return Job(
        environment=environment,
        model=model,
        agent=agent,
        output=output,
        split=settings.split or "train",
        limit=settings.limit,
        num_repeats=settings.num_repeats or 1,
        num_repeats_add_seed=settings.num_repeats_add_seed,
        sampling=settings.sampling,
        concurrency=settings.concurrency,
        max_sandboxes=settings.max_sandboxes,
        resume=settings.resume,
        disable_aggregation=settings.disable_aggregation,
        **fields,
    )


def output_path(settings: RunSettings, name: str) -> Path:
    """Where the rollouts go: the caller's file, or a new one named after the environment and the time."""
    if settings.output:
        return Path(settings.output)
    stem = Path(name.partition(":")[0]).stem
    return Path("results") / f"{stem}_{strftime('%Y%m%d-%H%M%S')}.jsonl"


def _input(settings: RunSettings, search_dirs: Sequence[Path]) -> Path | tuple[Source, ...] | None:
    path = Path(settings.input) if settings.input else None
    if not settings.prompt_config:
        return path
    from nemo_gym.config.prompts import load_prompt
    from nemo_gym.config.sources import search_roots

    return (Source(path=path, prompt=load_prompt(settings.prompt_config, search_roots(search_dirs))),)
