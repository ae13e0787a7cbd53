"""`gym eval reverify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.selection import Selected, with_selectors
from nemo_gym.wire.errors import UsageError


@with_selectors
def reverify(
    selected: Selected,
    rollouts: Annotated[Path, typer.Option(help="Rollouts of an earlier run, JSONL.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The rollouts with their new rewards.")],
    inputs: Annotated[
        Path | None, typer.Option(help="Their materialised inputs. Default: those beside the rollouts.")
    ] = None,
    environment_url: Annotated[str, typer.Option(help="Have a running resources server score them.")] = "",
    server_token: options.ServerToken = "",
    ask: options.Asks = None,
    concurrency: options.Concurrency = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many rollouts.")] = None,
    rollout_timeout: options.RolloutTimeout = 3600.0,
    force: Annotated[
        bool, typer.Option("--force", help="Even where a verifier may need what is gone: output unsafe_...")
    ] = False,
    judge_failed_only: Annotated[
        bool, typer.Option("--judge-failed-only", help="Only rollouts that failed because a judge did.")
    ] = False,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed", help="Only rollouts that failed because the verifier did, after mending it."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the files at --output first.")
    ] = False,
    resume: options.Resume = False,
    accept_changes: options.AcceptChanges = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add what is missing to the files at --output.")
    ] = False,
    disable_aggregation: options.NoMetrics = False,
    json: options.Json = False,
) -> None:
    """Score the trajectories of an earlier run again: no model is asked, no tool is run.

    Example: gym eval reverify --rollouts results/old.jsonl -o results/new.jsonl

    Example: gym eval reverify mcqa --inputs in.jsonl --rollouts old.jsonl -o new.jsonl

    Example: gym eval reverify --rollouts run.jsonl -o run.jsonl --failed --append
    """
    from nemo_gym.assembly.reverification import Existing
    from nemo_gym.assembly.reverification import reverify as reverified
    from nemo_gym.assembly.scorers import scoring
    from nemo_gym.cli.asks import read_asks
    from nemo_gym.cli.display import print_report
    from nemo_gym.cli.drive import collect, exit_code
    from nemo_gym.cli.texts import TERMINAL
    from nemo_gym.config.run_settings import RunSettings
    from nemo_gym.runs.component_specs import ModelSpec
    from nemo_gym.runs.loop import run_async
    from nemo_gym.runs.paths import RunPaths
    from nemo_gym.runs.recorded_plan import RecordedPlan
    from nemo_gym.runs.run import Job
    from nemo_gym.wire.errors import JudgeFailed, VerifierFault

    if overwrite and (resume or append):
        raise UsageError("--overwrite says another thing about the output than --resume and --append")
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
    logs = output.with_name(f"{output.stem}_server_logs")
    chosen = scoring(
        selected,
        rollouts,
        url=environment_url,
        token=server_token,
        logs=logs,
        asks=read_asks(ask or []),
        messages=TERMINAL,
    )
    job = Job(
        environment=chosen.scorer,
        model=ModelSpec("none"),
        agent=plan.agent,
        plan=plan,
        output=output,
        concurrency=RunSettings.of(concurrency=concurrency).concurrency,
        rollout_timeout=rollout_timeout,
        resume=resume,
        accept=frozenset(accept_changes or ()),
        disable_aggregation=disable_aggregation,
    )
    existing: Existing = "overwrite" if overwrite else "append" if append else "keep"
    work = reverified(
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
