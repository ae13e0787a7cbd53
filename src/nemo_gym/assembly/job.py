"""`Assembly`: a run that is ready to start."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from time import strftime
from typing import Any

from nemo_gym.assembly.arguments import Arguments
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.run import Job
from nemo_gym.runs.task_sources import Source
from nemo_gym.wire.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A run, and what must be open while it goes on."""

    job: Job
    settings: RunSettings
    """The settings of the caller over those of the configuration."""
    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    """The configuration that the servers have, with its secrets in plain text."""
    around: AbstractAsyncContextManager[None] | None = None
    """Entered before the run and left after it: its servers."""


def assembly_of_arguments(
    arguments: Arguments, settings: RunSettings, search_dirs: Sequence[Path] = ()
) -> Assembly:
    """The run of the arguments alone, without a configuration.

    Raises:
        UsageError: an argument is missing or can't be honoured.
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
    """The job of these components and settings.

    Args:
        fields: other fields of the job, such as `input` and `capture`.
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
        sandbox_provider=settings.sandbox_provider,
        terms=RewardTerms.of(settings.reward_weights, settings.reward_shaping),
        resume=settings.resume,
        disable_aggregation=settings.disable_aggregation,
        journal_turns=settings.journal_turns,
        **fields,
    )


def output_path(settings: RunSettings, name: str) -> Path:
    """The file of the rollouts: the caller's, or a new one named after the environment and the time."""
    if settings.output:
        return Path(settings.output)
    stem = f"{Path(name.partition(':')[0]).stem}_{strftime('%Y%m%d-%H%M%S')}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))  # of runs in the same second
    paths = (Path("results") / f"{name}.jsonl" for name in names)
    return next(path for path in paths if not RunPaths.of(path).existing())


def _input(settings: RunSettings, search_dirs: Sequence[Path]) -> Path | tuple[Source, ...] | None:
    path = Path(settings.input) if settings.input else None
    if not settings.prompt_config:
        return path
    from nemo_gym.config.prompts import load_prompt
    from nemo_gym.config.sources import search_roots

    return (Source(path=path, prompt=load_prompt(settings.prompt_config, search_roots(search_dirs))),)
