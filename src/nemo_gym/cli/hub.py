"""`gym dataset download` and `gym dataset upload`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nemo_gym.cli.selection import Selected
from nemo_gym.cli.texts import echo
from nemo_gym.wire.errors import UsageError


class Storage(StrEnum):
    """Where data sets are kept."""

    hf = "hf"
    gitlab = "gitlab"


Words: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="The same by configuration keys, and hf_token=..."),
]
StorageKind: TypeAlias = Annotated[Storage, typer.Option("--storage", help="Where the data set is kept.")]
Revision: TypeAlias = Annotated[str, typer.Option(help="A branch, tag or commit. [default: main]")]


def download(
    words: Words = None,
    storage: StorageKind = Storage.hf,
    repo_id: Annotated[str, typer.Option(help="OWNER/NAME of the data set.")] = "",
    name: Annotated[str, typer.Option(help="Of a data set in GitLab.", hidden=True)] = "",
    revision: Revision = "",
    artifact: Annotated[str, typer.Option(help="One file, as it is.")] = "",
    split: Annotated[
        str, typer.Option(help="Rows of one split. Without it or --artifact: every split.")
    ] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="The folder to write SPLIT.jsonl into.")] = None,
) -> None:
    """Get a data set from the Hugging Face hub, or from the one at HF_ENDPOINT.

    Example: gym dataset download --repo-id acme/sums --split train -o data/train.jsonl
    """
    from nemo_gym.datasets.download import download as download_files
    from nemo_gym.datasets.settings import DownloadSettings, settings_of

    _check(storage, name)
    config = Selected(words=words).resolve(offline=True)
    download_settings = settings_of(
        DownloadSettings,
        config.tree,
        repo_id=repo_id,
        revision=revision,
        artifact_fpath=artifact,
        split=split,
        output_fpath=str(output or ""),
        output_dirpath=str(output_dir or ""),
    )
    for path in download_files(download_settings):
        echo(str(path))


def upload(
    words: Words = None,
    storage: StorageKind = Storage.hf,
    input: Annotated[Path | None, typer.Option("--input", "-i", help="The file, JSONL.")] = None,
    name: Annotated[str, typer.Option(help="Of the data set. Default: the resources server's.")] = "",
    revision: Revision = "",
    split: Annotated[str, typer.Option(help="Rows of train must be requests. [default: train]")] = "",
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")
    ] = False,
) -> None:
    """Send a file to the Hugging Face hub, into a private data set named after its environment.

    Example: gym dataset upload -i data/train.jsonl hf_organization=acme resource_config_path=sums.yaml
    """
    from nemo_gym.datasets.settings import UploadSettings, settings_of
    from nemo_gym.datasets.upload import upload as upload_file

    _check(storage)
    selected = Selected(words=words)
    upload_settings = settings_of(
        UploadSettings,
        selected.resolve(offline=True).tree,
        input_jsonl_fpath=str(input or ""),
        dataset_name=name,
        revision=revision,
        split=split,
        create_pr=create_pr,
    )
    repository, url = upload_file(upload_settings, selected.roots())
    echo(f"{repository}\n{url}")


def _check(storage: Storage, name: str = "") -> None:
    from nemo_gym.datasets.declared import NO_GITLAB

    if storage is Storage.gitlab:
        raise UsageError(NO_GITLAB)
    if name:
        raise UsageError("--name is of a data set in GitLab; on the hub it is --repo-id OWNER/NAME")
