"""`gym run`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from nemo_gym.cli import run_options as options
from nemo_gym.cli.output import TERMINAL
from nemo_gym.cli.selection import (
    Benchmarks,
    ConfigFiles,
    ConfigSelection,
    Environments,
    ResourcesServers,
    SearchDirs,
)
from nemo_gym.cli.words import read_asks, read_settings

if TYPE_CHECKING:
    from nemo_gym.config.resolve import Config


def run(
    environment: options.EnvironmentName = "",
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
    judge_model_type: options.JudgeType = "",
    judge_model: options.JudgeName = "",
    judge_model_url: options.JudgeUrl = "",
    judge_model_api_key: options.JudgeKey = "",
    ask: options.Asks = None,
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
    reward_weights: options.RewardWeights = None,
    shape: options.Shapes = None,
    concurrency: options.Concurrency = None,
    max_sandboxes: options.MaxSandboxes = None,
    sandbox_provider: options.SandboxProvider = "",
    workers: options.Workers = 1,
    seed: options.Seed = None,
    rollout_timeout: options.RolloutTimeout = 3600.0,
    turn_timeout: options.TurnTimeout = None,
    max_failures: options.MaxFailures = None,
    resume: options.Resume = False,
    accept_changes: options.AcceptChanges = None,
    journal_turns: options.JournalTurns = False,
    disable_aggregation: options.NoMetrics = False,
    model_ready_timeout: options.ModelReady = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Collect verified rollouts: let a model act in an environment and score what it did.

    Example: gym run reasoning --limit 64 --num-repeats 4

    Example: gym run mcqa -i tasks.jsonl -o out.jsonl --model-url http://localhost:8000/v1 -m my-model

    Example: gym run --config run.yaml --split validation -o out.jsonl

    Example: gym run --benchmark math500,gpqa_diamond -o results/suite --model-url http://localhost:8000/v1
    """
    if any("," in names for names in benchmark or []):
        options_of_each = locals()
        from nemo_gym.cli.suite import run_suite

        run_suite(run, options_of_each, [name for names in benchmark or [] for name in names.split(",")])
    from nemo_gym.assembly.arguments import Arguments, check_settings
    from nemo_gym.assembly.job import assembly_of_arguments
    from nemo_gym.cli.collection import collect_run, collect_with_driver, print_plan
    from nemo_gym.config.run_settings import RunSettings

    words = [word for word in (environment, *(settings or [])) if word]
    flags = options.sandbox_changes(max_sandboxes, sandbox_provider)
    selection = ConfigSelection(
        words=words,
        config=config,
        search_dir=search_dir,
        resources_server=resources_server,
        environment=environment_config,
        benchmark=benchmark,
        model_type=[model_type] if model_type else None,
        model=model,
        model_url=model_url,
        model_api_key=model_api_key,
    )
    is_configured = selection.is_configured
    sampling = {"temperature": temperature, "top_p": top_p, "max_output_tokens": max_output_tokens}
    agent_flags = {"max_steps": max_steps, "turn_timeout": turn_timeout}
    run_settings = RunSettings.of(
        agent=agent or None,
        input=str(input) if input else None,
        output=str(output) if output else None,
        split=split or None,
        limit=limit,
        num_repeats=num_repeats,
        num_repeats_add_seed=num_repeats_add_seed,
        concurrency=concurrency,
        max_sandboxes=max_sandboxes,
        sandbox_provider=sandbox_provider or None,
        sampling={key: value for key, value in sampling.items() if value is not None},
        reward_weights=reward_weights,
        reward_shaping=shape,
        prompt_config=prompt_config or None,
        resume=resume,
        disable_aggregation=disable_aggregation,
        journal_turns=journal_turns,
        model_ready_timeout=model_ready_timeout,
        dry_run=dry_run,
    )
    arguments = Arguments(
        environment=words[0] if words and not is_configured else "",
        settings={} if is_configured else read_settings(words[1:]),
        model_type=model_type,
        model=model,
        model_url=model_url or [],
        model_api_key=model_api_key,
        model_timeout=model_timeout,
        model_settings=read_settings(model_setting or [], "the model"),
        record=str(record or ""),
        agent_settings={key: value for key, value in agent_flags.items() if value is not None}
        | read_settings(agent_setting or [], "the agent"),
        environment_url=environment_url,
        agent_url=agent_url,
        no_serve=no_serve,
        capture_dir=str(capture_dir.absolute()) if capture_dir else "",
        head_url=head_url,
        server_token=server_token,
        asks=read_asks(
            ask or [],
            type=judge_model_type,
            model=judge_model,
            url=judge_model_url,
            api_key=judge_model_api_key,
        ),
    )
    arguments.check_model()
    if is_configured:
        from nemo_gym.assembly.configuration import assembly_of_configuration

        def resolve(*more: str, offline: bool = False) -> Config:
            return replace(selection, words=[*more, *flags, *words]).resolve(offline=offline or dry_run)

        assembly = assembly_of_configuration(arguments, run_settings, resolve, search_dir or [], TERMINAL)
    else:
        assembly = assembly_of_arguments(arguments, run_settings, search_dir or [])
    check_settings(assembly.settings, seed=seed)
    job = replace(
        assembly.job,
        seed=seed,
        workers=workers,
        rollout_timeout=rollout_timeout,
        max_failures=max_failures,
        accept=frozenset(accept_changes or ()),
    )
    assembly = replace(assembly, job=job)
    if assembly.settings.dry_run:
        print_plan(assembly, as_json=json)
        return
    driver = assembly.settings.rollout_collection_driver
    sys.exit((collect_with_driver if driver else collect_run)(assembly, as_json=json))
