"""`gym dataset collate`."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from nemo_gym.cli.selection import Json, Selected, with_selectors
from nemo_gym.cli.texts import echo, print_error, print_json
from nemo_gym.wire.errors import UsageError


class Mode(StrEnum):
    """Which types of data sets."""

    train_preparation = "train_preparation"
    example_validation = "example_validation"


@with_selectors
def collate(
    selected: Selected,
    mode: Annotated[
        Mode | None, typer.Option(help="Train, validation and benchmark data sets; or the examples.")
    ] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Where each type's rows go together.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch data sets that aren't here.")] = False,
    json: Json = False,
) -> None:
    """Check the data sets of a configuration, count what is in them, and write them together by type.

    Example: gym dataset collate --config run.yaml --mode train_preparation --output-dir data/prepared
    """
    from nemo_gym.datasets.collate import collate as collate_parts
    from nemo_gym.datasets.declared import MODES, declared_parts, fetch_missing
    from nemo_gym.datasets.settings import CollateSettings, settings_of

    config_tree = selected.resolve(offline=True)
    flags = {"mode": mode, "output_dirpath": str(output_dir or ""), "should_download": download}
    collate_settings = settings_of(CollateSettings, config_tree.tree, **flags)
    if not (collate_settings.mode and collate_settings.output_dirpath):
        raise UsageError(f"needed: --mode {' or '.join(MODES)}, and --output-dir FOLDER")
    agents, types, roots = (
        config_tree.of("responses_api_agents"),
        MODES[collate_settings.mode],
        selected.roots(),
    )
    if collate_settings.should_download:
        fetched = fetch_missing(
            agents, types, roots, token=collate_settings.hf_token, store=collate_settings.data_source
        )
        for path in fetched:
            sys.stderr.write(f"downloaded {path}\n")
    named: Counter[Path] = Counter()

    def refused(path: Path, line: int, problem: str) -> None:
        named[path] += 1
        if named[path] <= NAMED:
            print_error(f"left out {path}:{line}: {problem}")

    collations = collate_parts(
        declared_parts(agents, types, roots),
        Path(collate_settings.output_dirpath),
        refused=refused,
        overwrite_conflicts=collate_settings.overwrite_metrics_conflicts,
    )
    for path, count in named.items():
        if count > NAMED:
            print_error(f"left out {count - NAMED:,} more rows of {path}")
    if json:
        print_json(msgspec.to_builtins(collations, enc_hook=str))
        return
    for one in collations:
        left_out = f", {one.refused:,} left out" if one.refused else ""
        echo(f"{one.type:<12} {one.rows:,} rows{left_out} -> {one.path}")


NAMED: Final = 100
"""Rows of one file that are named one by one."""
