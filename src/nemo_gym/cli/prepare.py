"""`gym eval prepare`."""

from __future__ import annotations

from typing import Annotated

import typer

from nemo_gym.cli.selection import Json, Selected, with_selectors
from nemo_gym.cli.texts import echo, number, print_json


@with_selectors
def prepare(
    selected: Selected,
    use_cached: Annotated[
        bool, typer.Option("--use-cached", help="Leave files that are there as they are.")
    ] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="How many at a time. [default: 1]")] = None,
    json: Json = False,
) -> None:
    """Make the data of benchmarks: run the prepare() of every benchmark that is declared, and check its file.

    Example: gym eval prepare --benchmark aime24

    Example: gym eval prepare --config suite.yaml --processes 4 --use-cached
    """
    from nemo_gym.datasets.prepare import PrepareSettings, prepare_benchmarks
    from nemo_gym.datasets.settings import settings_of
    from nemo_gym.runs.loop import run_async

    config_tree = selected.resolve(offline=True)
    flags = {"use_cached_prepared_benchmarks": use_cached, "num_prepare_benchmark_processes": processes}
    settings = settings_of(PrepareSettings, config_tree.tree, **flags)
    paths = run_async(prepare_benchmarks(config_tree.of("responses_api_agents"), selected.roots(), settings))
    if json:
        print_json({"benchmarks": paths})
        return
    for one in paths:
        how = "was there" if one.cached else "prepared"
        echo(f"{one.name:<24} {number(one.rows):>9} rows  {how}  {one.path}")
