"""`gym data-designer refine` and `advise`: from rollouts and configurations back to Data Designer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nemo_gym.cli.output import echo, print_json, print_note
from nemo_gym.cli.selection import Json


class Aim(StrEnum):
    """What gets more weight."""

    weakness = "weakness"
    learnable = "learnable"


MOST_VALUES = 20
"""How many values of a sampler are printed."""


def refine(
    rollouts: Annotated[Path, typer.Option(help="The rollouts file of a run over the data set's tasks.")],
    config: Annotated[Path, typer.Option(help="The configuration of the data set, YAML.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The next configuration.")],
    report: Annotated[
        Path | None, typer.Option(help="A folder for the report: report.html, report.md and its charts.")
    ] = None,
    aim: Annotated[
        Aim,
        typer.Option(
            help="More weight for values with a low pass rate, or for those that are solved at times."
        ),
    ] = Aim.weakness,
    floor: Annotated[
        float,
        typer.Option(min=0, max=1, help="The share spread evenly: no weight below FLOOR / number of values."),
    ] = 0.2,
    mastered: Annotated[
        float, typer.Option(min=0, max=1, help="The pass rate from which LLM columns are skipped.")
    ] = 0.95,
    skip: Annotated[bool, typer.Option(help="Skip LLM columns for mastered values.")] = True,
    seeds: Annotated[int, typer.Option(min=0, help="The most failures that become seed rows.")] = 20,
    example_in: Annotated[
        str, typer.Option(metavar="COLUMN", help="Show a seed row in the prompt of this LLM column.")
    ] = "",
    answer_key: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of the rollouts with the extracted answer.")
    ] = "",
    least_repeats: Annotated[
        int, typer.Option(min=2, help="Suspected labels: rollouts that a task needs at least.")
    ] = 3,
    strong: Annotated[
        float, typer.Option(min=0, max=1, help="Suspected labels: the least pass rate of the run.")
    ] = 0.5,
    json: Json = False,
) -> None:
    """Write the next configuration of Data Designer from what rollouts showed: weights, skips, seeds.

    Example: gym data-designer refine --rollouts run.jsonl --config config.yaml -o next.yaml --report report
    """
    from nemo_gym.siblings.data_designer.charts import percent
    from nemo_gym.siblings.data_designer.evidence import SuspicionRule
    from nemo_gym.siblings.data_designer.page import write_page
    from nemo_gym.siblings.data_designer.refine import RefineOptions, refine_files
    from nemo_gym.siblings.data_designer.report import refinement_page

    options = RefineOptions(
        aim=aim.value, floor=floor, skip=skip, mastered=mastered, seeds=seeds, example_in=example_in
    )
    rule = SuspicionRule(least_rollouts=least_repeats, strong=strong)
    evidence, refinement = refine_files(
        rollouts, config, output, options=options, rule=rule, answer_key=answer_key
    )
    if report is not None:
        write_page(refinement_page(evidence, refinement, options, rule, name=output.name), report)
    if json:
        print_json(
            {
                "output": str(output),
                "pass_rate": evidence.group().rate,
                "weights": refinement.weights,
                "skips": refinement.skips,
                "seeds": len(refinement.seeds),
                "suspects": [task.index for task in evidence.suspects],
                "notes": refinement.notes,
            }
        )
        return
    for change in refinement.weights:
        where = f" where {change.condition}" if change.condition else ""
        echo(f"{change.column}{where}")
        rows = sorted(
            zip(change.values, change.before, change.after, strict=True),
            key=lambda row: -abs(row[2] - row[1]) if len(change.values) > MOST_VALUES else 0,
        )
        for value, before, after in rows[:MOST_VALUES]:
            echo(f"  {' '.join(str(value).split())[:40]:<40} {percent(before):>7} -> {percent(after):>7}")
        if len(rows) > MOST_VALUES:
            echo(f"  and {len(rows) - MOST_VALUES:,} values that change less")
    for one in refinement.skips:
        echo(f"{one.column}: not generated when {one.when}")
    if refinement.seeds:
        echo(f"{len(refinement.seeds)} seed rows -> {refinement.seeds_path}")
    if evidence.suspects:
        echo(f"suspected wrong labels: tasks {', '.join(str(task.index) for task in evidence.suspects[:20])}")
    for note in refinement.notes:
        print_note(note)
    echo(str(output))
    if report is not None:
        echo(str(report / "report.html"))


def advise(
    config: Annotated[Path, typer.Argument(help="A configuration of Data Designer, YAML.")],
    json: Json = False,
) -> None:
    """Name the columns that only simulate what an environment executes, each with the way to switch over.

    Example: gym data-designer advise config.yaml
    """
    from nemo_gym.siblings.data_designer.advise import advise as advice_for
    from nemo_gym.siblings.data_designer.config import load_config

    advice = advice_for(load_config(config))
    if json:
        print_json(advice)
        return
    for one in advice:
        echo(f"{one.column}: {one.simulates} ({one.rule})")
        echo(f"  why      {one.reason}")
        echo(f"  instead  {one.environment}")
        echo(f"  switch   {one.command}")
    if not advice:
        echo("No column simulates what an environment here executes.")
