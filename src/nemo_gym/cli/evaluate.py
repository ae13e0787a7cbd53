"""`gym eval`: prepare data, profile a run, merge runs, score a run again."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.output import TERMINAL, echo, number, print_error, print_json
from nemo_gym.cli.selection import ConfigSelection, Json, with_selectors
from nemo_gym.cli.words import read_asks, read_options, split_options
from nemo_gym.wire.errors import JudgeFailed, UsageError, VerifierFault

if TYPE_CHECKING:
    from nemo_gym.assembly.reverification import Existing
    from nemo_gym.runs.reward_profile import Completion

app = typer.Typer(help="Prepare data; profile, merge and score runs again.", no_args_is_help=True)


@app.command()
@with_selectors
def prepare(
    selection: ConfigSelection,
    use_cached: Annotated[bool, typer.Option("--use-cached", help="Keep files that exist already.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Benchmarks prepared at a time. [default: 1]")
    ] = None,
    json: Json = False,
) -> None:
    """Make the data of benchmarks: run the prepare() of every benchmark that is declared, and check its file.

    Example: gym eval prepare --benchmark arc_agi_1,ifbench

    Example: gym eval prepare --config suite.yaml --processes 4 --use-cached
    """
    from nemo_gym.datasets.prepare import PrepareSettings, prepare_benchmarks
    from nemo_gym.datasets.settings import settings_of
    from nemo_gym.runs.loop import run_async

    config = selection.resolve(offline=True)
    flags = {"use_cached_prepared_benchmarks": use_cached, "num_prepare_benchmark_processes": processes}
    settings = settings_of(PrepareSettings, config.tree, **flags)
    benchmarks = run_async(prepare_benchmarks(config.of("responses_api_agents"), selection.roots(), settings))
    if json:
        print_json({"benchmarks": benchmarks})
        return
    for one in benchmarks:
        how = "was there" if one.cached else "prepared"
        echo(f"{one.name:<24} {number(one.rows):>9} rows  {how}  {one.path}")
        if one.origin:
            echo(f"{'':<24} {one.origin}")


class ProfileOptions(msgspec.Struct):
    """Named as the keys of a configuration."""

    materialized_inputs_jsonl_fpath: str = ""
    rollouts_jsonl_fpath: str = ""
    allow_partial_rollouts: bool = False


@app.command()
def profile(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The flags as configuration keys.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="Materialised inputs, JSONL. Default: the file beside the rollouts.")
    ] = None,
    rollouts: Annotated[Path | None, typer.Option(help="Rollouts, JSONL.")] = None,
    allow_partial_rollouts: Annotated[
        bool,
        typer.Option(
            "--allow-partial-rollouts", help="Accept an incomplete run, and print how complete it is."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the completion as JSON.")] = False,
) -> None:
    """Write the results of each task of a run beside the task itself, for curricula and filters.

    Example: gym eval profile --rollouts results/mcqa.jsonl

    Example: gym eval profile --inputs in.jsonl --rollouts out.jsonl --allow-partial-rollouts
    """
    from nemo_gym.runs.paths import RunPaths
    from nemo_gym.runs.reward_profile import write_profile

    profile_options = read_options(
        ProfileOptions,
        words or [],
        materialized_inputs_jsonl_fpath=str(inputs or ""),
        rollouts_jsonl_fpath=str(rollouts or ""),
        allow_partial_rollouts=allow_partial_rollouts,
    )
    if not profile_options.rollouts_jsonl_fpath:
        raise UsageError("which rollouts? --rollouts FILE")
    source = Path(profile_options.rollouts_jsonl_fpath)
    if not source.exists():
        raise UsageError(f"--rollouts {source}: there is no such file")
    plan = Path(profile_options.materialized_inputs_jsonl_fpath or RunPaths.of(source).inputs)
    profile_paths = write_profile(plan, source, partial=profile_options.allow_partial_rollouts)
    files = {"reward_profile": str(profile_paths.tasks), "agent_metrics": str(profile_paths.agents)}
    if json:
        print_json({"completion": profile_paths.completion, "files": files})
        return
    echo(_completion_line(profile_paths.completion))
    for name, path in files.items():
        echo(f"{name:<15} {path}")


def _completion_line(completion: Completion) -> str:
    rows = f"{number(completion.completed_rows)} of {number(completion.expected_rows)} rollouts"
    tasks = (
        f"{number(completion.complete_tasks)} tasks complete, {number(completion.partial_tasks)} partial, "
        f"{number(completion.missing_tasks)} without any"
    )
    extra = f", {number(completion.extra_rows)} extra rows left out" if completion.extra_rows else ""
    return f"{rows} ({completion.completed_pct:.2f} %): {tasks}{extra}"


class AggregateOptions(msgspec.Struct):
    """Named as the keys of a configuration."""

    input_glob: str | list[str] = ""
    output_jsonl_fpath: str = ""
    merge_shards: bool = True


@app.command()
@with_selectors
def aggregate(
    selection: ConfigSelection,
    input_glob: Annotated[
        list[str] | None,
        typer.Option("--input-glob", "-i", metavar="GLOB[,GLOB]...", help="Rollouts files. Repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="All rollouts, JSONL.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files at --output.")] = False,
    head_url: Annotated[
        str, typer.Option(help="The head server of running agents that have their own metrics.")
    ] = "",
    server_token: options.ServerToken = "",
    json: options.Json = False,
) -> None:
    """Merge the rollouts of several runs into one file, and compute the metrics of all of them.

    Example: gym eval aggregate -i 'results/chunk*.jsonl' -o results/all.jsonl

    Example: gym eval aggregate mcqa -i 'a/*.jsonl,b/*.jsonl' -o all.jsonl ++merge_shards=false
    """
    from nemo_gym.agents.remote_run import RemoteRun
    from nemo_gym.assembly.scorers import local_scorers
    from nemo_gym.cli.display import print_report
    from nemo_gym.runs.loop import run_async
    from nemo_gym.runs.paths import RunPaths
    from nemo_gym.runs.shards import aggregate_shards, find_shards

    flags = {"input_glob": input_glob, "output_jsonl_fpath": str(output or "")}
    chosen, others = split_options(AggregateOptions, selection.words or [], **flags)
    if not chosen.input_glob or not chosen.output_jsonl_fpath:
        raise UsageError("needed: --input-glob GLOB and --output FILE")
    target = RunPaths.of(Path(chosen.output_jsonl_fpath))
    globs = [chosen.input_glob] if isinstance(chosen.input_glob, str) else chosen.input_glob
    shards = find_shards(globs, target)
    existing = target.existing()
    if not chosen.merge_shards:
        existing = [path for path in existing if path == target.metrics]
    if existing and not overwrite:
        raise UsageError(f"{existing[0]} exists already: pass --overwrite, or another --output")
    scorer, head = local_scorers(replace(selection, words=others), head_url)
    agents = RemoteRun(head_url=head, token=server_token) if head else None
    work = aggregate_shards(shards, target, scorer=scorer, agents=agents, merge=chosen.merge_shards)
    report, notes = run_async(work)
    for note in notes:
        print_error(note)
    print_report(report, as_json=json)


@app.command()
@with_selectors
def reverify(
    selection: ConfigSelection,
    rollouts: Annotated[Path, typer.Option(help="Rollouts of an earlier run, JSONL.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file for the rollouts with their new rewards.")
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(help="The run's materialised inputs. Default: the file beside the rollouts."),
    ] = None,
    environment_url: Annotated[str, typer.Option(help="Have a running resources server score them.")] = "",
    server_token: options.ServerToken = "",
    ask: options.Asks = None,
    reward_weights: options.RewardWeights = None,
    shape: options.Shapes = None,
    concurrency: options.Concurrency = None,
    max_sandboxes: options.MaxSandboxes = None,
    sandbox_provider: options.SandboxProvider = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N rollouts.")] = None,
    rollout_timeout: options.RolloutTimeout = 3600.0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Score even if a verifier may need a lost session; writes unsafe_NAME."),
    ] = False,
    judge_failed_only: Annotated[
        bool, typer.Option("--judge-failed-only", help="Only rollouts whose judge failed.")
    ] = False,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Only rollouts whose verifier failed, once it is mended."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the files at --output first.")
    ] = False,
    resume: options.Resume = False,
    accept_changes: options.AcceptChanges = None,
    append: Annotated[
        bool,
        typer.Option(
            "--append", help="Score only the rollouts that the files at --output lack, and add them."
        ),
    ] = False,
    disable_aggregation: options.NoMetrics = False,
    json: options.Json = False,
) -> None:
    """Score the trajectories of an earlier run again: no model is asked, no tool is run.

    Without --reward-weights and --shape, those of the run are used; an empty text stands for none.

    Example: gym eval reverify --rollouts results/old.jsonl -o results/new.jsonl

    Example: gym eval reverify mcqa --inputs in.jsonl --rollouts old.jsonl -o new.jsonl

    Example: gym eval reverify --rollouts run.jsonl -o run.jsonl --failed --append
    """
    from nemo_gym.assembly.reverification import reverify as score_again
    from nemo_gym.assembly.reverification import terms_again
    from nemo_gym.assembly.scorers import scoring
    from nemo_gym.cli.collection import collect, exit_code
    from nemo_gym.cli.display import print_report
    from nemo_gym.config.run_settings import RunSettings
    from nemo_gym.runs.component_specs import ModelSpec
    from nemo_gym.runs.loop import run_async
    from nemo_gym.runs.paths import RunPaths
    from nemo_gym.runs.recorded_plan import RecordedPlan
    from nemo_gym.runs.run import Job

    if overwrite and (resume or append):
        raise UsageError("--overwrite deletes the output, --resume and --append keep it: choose one")
    if failed and judge_failed_only:
        raise UsageError("--failed and --judge-failed-only take different rollouts: choose one")
    kind = VerifierFault if failed else JudgeFailed if judge_failed_only else None
    source = RunPaths.of(rollouts)
    if not rollouts.exists() and not (kind and source.failures.exists()):
        raise UsageError(f"--rollouts {rollouts}: there is no such file")
    plan = RecordedPlan(
        inputs=inputs or source.inputs,
        recordings=source.failures if kind else rollouts,
        failed_as=kind.failure_class if kind else "",
        scored=(rollouts,) if kind else (),
        limit=limit,
    )
    if selection.is_configured:
        flags = options.sandbox_changes(max_sandboxes, sandbox_provider)
        selection = replace(selection, words=[*flags, *(selection.words or [])])
    run_settings = RunSettings.of(
        concurrency=concurrency, max_sandboxes=max_sandboxes, sandbox_provider=sandbox_provider or None
    )
    chosen = scoring(
        selection,
        rollouts,
        url=environment_url,
        token=server_token,
        logs=output.with_name(f"{output.stem}_server_logs"),
        asks=read_asks(ask or []),
        messages=TERMINAL,
    )
    job = Job(
        environment=chosen.scorer,
        model=ModelSpec("none"),
        agent=plan.agent,
        plan=plan,
        output=output,
        concurrency=run_settings.concurrency,
        max_sandboxes=run_settings.max_sandboxes,
        sandbox_provider=run_settings.sandbox_provider,
        rollout_timeout=rollout_timeout,
        resume=resume,
        accept=frozenset(accept_changes or ()),
        terms=terms_again(source, reward_weights, shape),
        disable_aggregation=disable_aggregation,
    )
    existing: Existing = "overwrite" if overwrite else "append" if append else "keep"
    work = score_again(
        job,
        plan,
        collect=collect,
        around=chosen.around,
        force=force,
        existing=existing,
        warn=TERMINAL.warn,
    )
    report = run_async(work)
    print_report(report, as_json=json)
    sys.exit(exit_code(report))
