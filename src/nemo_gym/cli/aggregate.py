"""`gym eval aggregate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from nemo_gym.cli import run_options as options
from nemo_gym.cli.selection import Selected, with_selectors
from nemo_gym.cli.texts import print_error
from nemo_gym.cli.words import split_asked
from nemo_gym.wire.errors import UsageError


class AggregateSettings(msgspec.Struct):
    """Named as the keys of a configuration."""

    input_glob: str | list[str] = ""
    output_jsonl_fpath: str = ""
    merge_shards: bool = True


@with_selectors
def aggregate(
    selected: Selected,
    input_glob: Annotated[
        list[str] | None,
        typer.Option("--input-glob", "-i", metavar="GLOB[,GLOB]...", help="Rollouts files. Repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="All rollouts, JSONL.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files at --output.")] = False,
    head_url: Annotated[
        str, typer.Option(help="The head server of running agents that know metrics of their own.")
    ] = "",
    server_token: options.ServerToken = "",
    json: options.Json = False,
) -> None:
    """Put the rollouts of several runs into one file and compute the metrics of all of them.

    Example: gym eval aggregate -i 'results/chunk*.jsonl' -o results/all.jsonl

    Example: gym eval aggregate mcqa -i 'a/*.jsonl,b/*.jsonl' -o all.jsonl ++merge_shards=false
    """
    from nemo_gym.agents.remote_run import RemoteRun
    from nemo_gym.assembly.scorers import scorers_known
    from nemo_gym.cli.display import print_report
    from nemo_gym.runs.loop import run_async
    from nemo_gym.runs.paths import RunPaths
    from nemo_gym.runs.shards import aggregate_shards, find_shards

    flags = {"input_glob": input_glob, "output_jsonl_fpath": str(output or "")}
    asked, others = split_asked(AggregateSettings, selected.words or [], **flags)
    if not asked.input_glob or not asked.output_jsonl_fpath:
        raise UsageError("needed: --input-glob GLOB and --output FILE")
    target = RunPaths.of(Path(asked.output_jsonl_fpath))
    shards = find_shards(
        [asked.input_glob] if isinstance(asked.input_glob, str) else asked.input_glob, target
    )
    existing = (
        target.existing() if asked.merge_shards else [path for path in (target.metrics,) if path.exists()]
    )
    if existing and not overwrite:
        raise UsageError(f"{existing[0]} exists already: pass --overwrite, or another --output")
    scorer, head = scorers_known(replace(selected, words=others), head_url)
    agents = RemoteRun(head_url=head, token=server_token) if head else None
    work = aggregate_shards(shards, target, scorer=scorer, agents=agents, merge=asked.merge_shards)
    report, notes = run_async(work)
    for note in notes:
        print_error(note)
    print_report(report, as_json=json)
