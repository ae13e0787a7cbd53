"""`gym run` and `gym eval run`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nemo_gym.cli import run_options as options
from nemo_gym.cli.selection import (
    Benchmarks,
    ConfigFiles,
    Environments,
    ResourcesServers,
    SearchDirs,
    configuration,
)
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config


def run(
    environment: options.Named = "",
    settings: options.Changes = None,
    config: ConfigFiles = None,
    resources_server: ResourcesServers = None,
    environment_config: Environments = None,
    benchmark: Benchmarks = None,
    search_dir: SearchDirs = None,
    input: options.Input = None,
    output: options.Output = None,
    split: options.Split = "",
    limit: options.Limit = None,
    prompt_config: options.PromptConfig = "",
    model_type: options.ModelType = "",
    model: options.ModelName = "",
    model_url: options.ModelUrls = None,
    model_setting: options.ModelSettings = None,
    model_api_key: options.ModelKey = "",
    model_timeout: options.ModelTimeout = None,
    record: options.Record = None,
    capture_dir: options.CaptureDir = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_output_tokens: options.MaxOutputTokens = None,
    agent: options.AgentName = "",
    agent_setting: options.AgentSettings = None,
    max_steps: options.MaxSteps = None,
    environment_url: options.EnvironmentUrl = "",
    agent_url: options.AgentUrl = "",
    no_serve: options.NoServe = False,
    head_url: options.HeadUrl = "",
    server_token: options.ServerToken = "",
    num_repeats: options.NumRepeats = None,
    num_repeats_add_seed: options.AddSeed = False,
    concurrency: options.Concurrency = None,
    workers: options.Workers = 1,
    seed: options.Seed = None,
    rollout_timeout: options.RolloutTimeout = 3600.0,
    turn_timeout: options.TurnTimeout = None,
    max_failures: options.MaxFailures = None,
    resume: options.Resume = False,
    accept_changes: options.AcceptChanges = None,
    disable_aggregation: options.NoMetrics = False,
    model_ready_timeout: options.ModelReady = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Collect verified rollouts: let a model act in an environment and score what it did.

    Example: gym run reasoning --limit 64 --num-repeats 4

    Example: gym run mcqa -i tasks.jsonl -o out.jsonl --model-url http://localhost:8000/v1 -m my-model

    Example: gym eval run --config run.yaml --split validation -o out.jsonl
    """
    from nemo_gym.assembly.parts import ComponentFlags, check_model, parts_of_flags
    from nemo_gym.cli.drive import drive
    from nemo_gym.cli.words import read_settings
    from nemo_gym.config.run_settings import RunSettings
    from nemo_gym.runs.run import Job

    sampling = {"temperature": temperature, "top_p": top_p, "max_output_tokens": max_output_tokens}
    arguments = {"max_steps": max_steps, "turn_timeout": turn_timeout}
    asked = RunSettings(
        agent_name=agent or None,
        input_jsonl_fpath=str(input) if input else None,
        output_jsonl_fpath=str(output) if output else None,
        split=split or None,
        limit=limit,
        num_repeats=num_repeats,
        num_repeats_add_seed=num_repeats_add_seed,
        num_samples_in_parallel=concurrency,
        responses_create_params={key: value for key, value in sampling.items() if value is not None},
        prompt_config=prompt_config or None,
        resume_from_cache=resume,
        disable_aggregation=disable_aggregation,
        model_endpoint_readiness_timeout_seconds=model_ready_timeout,
        dry_run=dry_run,
    )
    flags = ComponentFlags(
        words=[word for word in (environment, *(settings or [])) if word],
        model_type=model_type,
        model=model,
        model_url=model_url or [],
        model_api_key=model_api_key,
        model_timeout=model_timeout,
        model_settings=read_settings(model_setting or [], "the model"),
        record=str(record or ""),
        agent_arguments={key: value for key, value in arguments.items() if value is not None}
        | read_settings(agent_setting or [], "the agent"),
        environment_url=environment_url,
        agent_url=agent_url,
        no_serve=no_serve,
        capture_dir=str(capture_dir.absolute()) if capture_dir else "",
        head_url=head_url,
        server_token=server_token,
    )

    def resolved(*more: str, offline: bool = False) -> Config:
        return configuration(
            [*more, *flags.capture_changes, *flags.words],
            config,
            search_dir,
            resources_server=resources_server,
            environment=environment_config,
            benchmark=benchmark,
            model_type=[model_type] if model_type else None,
            model=model,
            model_url=flags.only_url,
            model_api_key=model_api_key,
            offline=offline or dry_run,
        )

    check_model(flags)
    if config or resources_server or environment_config or benchmark or flags.changes_configuration:
        from nemo_gym.assembly.configuration import parts_of_configuration

        parts = parts_of_configuration(flags, asked, resolved, search_dir or [])
    else:
        parts = parts_of_flags(flags, asked, search_dir or [])
    asked = parts.asked
    if asked.resume_from_cache and not asked.output_jsonl_fpath:
        raise UsageError(
            "--resume goes on with a run: name it with --output FILE (`gym runs list` lists them)"
        )
    if seed is not None and asked.num_repeats_add_seed:
        raise UsageError("--seed and --num-repeats-add-seed both say what the sampling seeds are: drop one")
    job = Job(
        environment=parts.environment,
        model=parts.model,
        agent=parts.agent,
        agent_name=parts.agent_name,
        input=parts.input,
        output=parts.output,
        split=asked.split or "train",
        limit=asked.limit,
        num_repeats=asked.num_repeats or 1,
        columns=parts.columns,
        sampling=asked.responses_create_params,
        seed=seed,
        num_repeats_add_seed=asked.num_repeats_add_seed,
        concurrency=asked.num_samples_in_parallel,
        workers=workers,
        rollout_timeout=rollout_timeout,
        max_failures=max_failures,
        capture=parts.capture,
        resume=asked.resume_from_cache,
        accept=frozenset(accept_changes or ()),
        write_metrics=not asked.disable_aggregation,
    )
    if asked.dry_run:
        from nemo_gym.cli.dry_run import describe

        describe(job, parts, as_json=json)
        return
    if asked.rollout_collection_driver:
        from nemo_gym.assembly.collection_driver import drive_with

        sys.exit(drive_with(job, parts, as_json=json))
    ready = asked.model_endpoint_readiness_timeout_seconds or 0.0
    sys.exit(drive(job, as_json=json, around=parts.around, ready_s=ready))
