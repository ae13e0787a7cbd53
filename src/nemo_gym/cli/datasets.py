"""`gym dataset`: check, render, download and upload data sets."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from nemo_gym.cli.output import echo, print_error, print_json
from nemo_gym.cli.selection import ConfigSelection, Json, SearchDirs, with_selectors
from nemo_gym.cli.words import read_options
from nemo_gym.wire.errors import UsageError

app = typer.Typer(help="Check, render, download and upload data sets.", no_args_is_help=True)


class Mode(StrEnum):
    """Which types of data sets."""

    train_preparation = "train_preparation"
    example_validation = "example_validation"


@app.command()
@with_selectors
def collate(
    selection: ConfigSelection,
    mode: Annotated[
        Mode | None, typer.Option(help="Train, validation and benchmark data sets, or the examples.")
    ] = None,
    output_dir: Annotated[Path | None, typer.Option(help="The folder for one file of each type.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch data sets that aren't here.")] = False,
    json: Json = False,
) -> None:
    """Check the data sets of a configuration, count their contents, and write one file of each type.

    Example: gym dataset collate --config run.yaml --mode train_preparation --output-dir data/prepared
    """
    from nemo_gym.datasets.collate import collate as collate_parts
    from nemo_gym.datasets.declared import MODES, declared_parts, fetch_missing
    from nemo_gym.datasets.settings import CollateSettings, settings_of

    config = selection.resolve(offline=True)
    flags = {"mode": mode, "output_dirpath": str(output_dir or ""), "should_download": download}
    settings = settings_of(CollateSettings, config.tree, **flags)
    if not (settings.mode and settings.output_dirpath):
        raise UsageError(f"needed: --mode {' or '.join(MODES)}, and --output-dir FOLDER")
    agents, types, roots = config.of("responses_api_agents"), MODES[settings.mode], selection.roots()
    if settings.should_download:
        paths = fetch_missing(agents, types, roots, token=settings.hf_token, store=settings.data_source)
        for path in paths:
            sys.stderr.write(f"downloaded {path}\n")
    refusals: Counter[Path] = Counter()

    def refuse(path: Path, line: int, problem: str) -> None:
        refusals[path] += 1
        if refusals[path] <= MOST_LINES:
            print_error(f"left out {path}:{line}: {problem}")

    collations = collate_parts(
        declared_parts(agents, types, roots),
        Path(settings.output_dirpath),
        refused=refuse,
        overwrite_conflicts=settings.overwrite_metrics_conflicts,
    )
    for path, count in refusals.items():
        if count > MOST_LINES:
            print_error(f"left out {count - MOST_LINES:,} more rows of {path}")
    if json:
        print_json(msgspec.to_builtins(collations, enc_hook=str))
        return
    for one in collations:
        left_out = f", {one.refused:,} left out" if one.refused else ""
        echo(f"{one.type:<12} {one.rows:,} rows{left_out} -> {one.path}")


MOST_LINES: Final = 100
"""How many rows of one file are refused with a line each; the others are only counted."""


class RenderOptions(msgspec.Struct):
    """Named as the keys of a configuration."""

    input_jsonl_fpath: str = ""
    prompt_config: str = ""
    output_jsonl_fpath: str = ""


@app.command()
def render(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The flags as configuration keys.")
    ] = None,
    input: Annotated[Path | None, typer.Option("--input", "-i", help="Rows without an input, JSONL.")] = None,
    prompt_config: Annotated[
        str, typer.Option(metavar="PATH", help="A YAML file that every row's input is made from.")
    ] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The filled rows, JSONL.")] = None,
    search_dir: SearchDirs = None,
) -> None:
    """Fill a prompt into the rows of a file, to look at them or to use them elsewhere.

    Example: gym dataset render -i raw.jsonl --prompt-config prompt.yaml -o tasks.jsonl
    """
    from nemo_gym.config.prompts import load_prompt
    from nemo_gym.config.sources import search_roots
    from nemo_gym.datasets.render import render as render_file

    options = read_options(
        RenderOptions,
        words or [],
        input_jsonl_fpath=str(input or ""),
        prompt_config=prompt_config,
        output_jsonl_fpath=str(output or ""),
    )
    source, target = options.input_jsonl_fpath, options.output_jsonl_fpath
    if not (source and target and options.prompt_config):
        raise UsageError("needed: --input FILE, --prompt-config FILE and --output FILE")
    prompt = load_prompt(options.prompt_config, search_roots(search_dir or []))
    count = render_file(Path(source), prompt, Path(target))
    echo(f"{count:,} rows -> {target}")


@app.command()
def expand(
    input: Annotated[Path, typer.Argument(help="A rollouts file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The rows with every prompt in full, JSONL.")
    ],
) -> None:
    """Write the rows of a rollouts file with the token ids of every prompt in full, for other programs.

    Example: gym dataset expand results/mcqa.jsonl -o full.jsonl
    """
    from nemo_gym.datasets.expand import expand as expand_file

    echo(f"{expand_file(input, output):,} rows -> {output}")


class Storage(StrEnum):
    """Where data sets are stored."""

    hf = "hf"
    gitlab = "gitlab"


Words: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="The flags as configuration keys, and hf_token=..."),
]
StorageKind: TypeAlias = Annotated[Storage, typer.Option("--storage", help="Where the data set is stored.")]
Revision: TypeAlias = Annotated[str, typer.Option(help="A branch, tag or commit. [default: main]")]


@app.command()
def download(
    words: Words = None,
    storage: StorageKind = Storage.hf,
    repo_id: Annotated[str, typer.Option(help="OWNER/NAME of the data set.")] = "",
    name: Annotated[str, typer.Option(help="The data set's name in GitLab.", hidden=True)] = "",
    revision: Revision = "",
    artifact: Annotated[str, typer.Option(help="One file, unchanged.")] = "",
    split: Annotated[str, typer.Option(help="Only this split. Default: every split.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="The folder to write SPLIT.jsonl into.")] = None,
) -> None:
    """Get a data set from the Hugging Face hub, or from the one at HF_ENDPOINT.

    Example: gym dataset download --repo-id acme/sums --split train -o data/train.jsonl
    """
    from nemo_gym.datasets.download import download as download_files
    from nemo_gym.datasets.settings import DownloadSettings, settings_of

    _check_storage(storage)
    if name:
        raise UsageError("--name is of a data set in GitLab; on the hub it is --repo-id OWNER/NAME")
    settings = settings_of(
        DownloadSettings,
        ConfigSelection(words=words).resolve(offline=True).tree,
        repo_id=repo_id,
        revision=revision,
        artifact_fpath=artifact,
        split=split,
        output_fpath=str(output or ""),
        output_dirpath=str(output_dir or ""),
    )
    for path in download_files(settings):
        echo(str(path))


@app.command()
def upload(
    words: Words = None,
    storage: StorageKind = Storage.hf,
    input: Annotated[Path | None, typer.Option("--input", "-i", help="The file, JSONL.")] = None,
    name: Annotated[str, typer.Option(help="The data set's name. Default: the resources server's.")] = "",
    revision: Revision = "",
    split: Annotated[
        str, typer.Option(help="The split; rows of train must be requests. [default: train]")
    ] = "",
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")
    ] = False,
) -> None:
    """Send a file to the Hugging Face hub, into a private data set named after its environment.

    Example: gym dataset upload -i data/train.jsonl hf_organization=acme resource_config_path=sums.yaml
    """
    from nemo_gym.datasets.settings import UploadSettings, settings_of
    from nemo_gym.datasets.upload import upload as upload_file

    _check_storage(storage)
    selection = ConfigSelection(words=words)
    settings = settings_of(
        UploadSettings,
        selection.resolve(offline=True).tree,
        input_jsonl_fpath=str(input or ""),
        dataset_name=name,
        revision=revision,
        split=split,
        create_pr=create_pr,
    )
    repository, url = upload_file(settings, selection.roots())
    echo(f"{repository}\n{url}")


_ANY_WORDS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_ANY_WORDS, hidden=True)
def rm() -> None:
    """Delete a data set from GitLab, which is not supported."""
    _check_storage(Storage.gitlab)


@app.command(context_settings=_ANY_WORDS, hidden=True)
def migrate() -> None:
    """Move a data set from GitLab to the hub, which is not supported."""
    _check_storage(Storage.gitlab)


def _check_storage(storage: Storage) -> None:
    from nemo_gym.datasets.declared import NO_GITLAB

    if storage is Storage.gitlab:
        raise UsageError(NO_GITLAB)
