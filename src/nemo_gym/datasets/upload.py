"""Uploads a data set to a hub after a check of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.sources import read_sources
from nemo_gym.config.tree import as_mapping
from nemo_gym.datasets.declared import NO_GITLAB
from nemo_gym.datasets.hub import Hub
from nemo_gym.datasets.settings import UploadSettings
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.params import check_typed_params


def upload(settings: UploadSettings, roots: Sequence[Path]) -> tuple[str, str]:
    """Check a file and upload it, and return the repository's id and the URL of the change.

    Args:
        roots: the folders in which the configuration of the resources server is looked for.

    Raises:
        UsageError: a setting is missing, or a row of a `train` split is not a request.
        ConfigError: the configuration can't be read.
        GymError: the hub can't be reached, or refuses.
    """
    facts = {
        "input_jsonl_fpath=FILE": settings.input_jsonl_fpath,
        "hf_organization=NAME": settings.hf_organization,
        "resource_config_path=PATH": settings.resource_config_path,
    }
    if missing := [name for name, value in facts.items() if not value]:
        raise UsageError(f"needed: {', '.join(missing)} (env.yaml may have the keys)").about("input")
    if settings.delete_from_gitlab:
        raise UsageError(f"delete_from_gitlab: {NO_GITLAB}")
    repository = repository_name(settings, roots)
    path = Path(settings.input_jsonl_fpath)
    check_rows(path, requests=settings.split == "train")
    hub = Hub(settings.hf_token)
    url = hub.publish(
        repository,
        path,
        revision=settings.revision,
        create_pr=settings.create_pr,
        message=settings.commit_message,
        description=settings.commit_description,
    )
    if settings.hf_collection_name and settings.hf_collection_slug:
        collection = f"{settings.hf_collection_name}-{settings.hf_collection_slug}"
        hub.collect(repository, f"{settings.hf_organization}/{collection}")
    return repository, url


def repository_name(settings: UploadSettings, roots: Sequence[Path]) -> str:
    """`<organization>/<prefix>-<domain>-<name>`.

    Raises:
        ConfigError: the configuration has no resources server with a domain.
    """
    tree = read_sources([settings.resource_config_path], roots).tree
    for value in tree.values():
        for name, fields in as_mapping(as_mapping(value).get("resources_servers")).items():
            if domain := as_mapping(fields).get("domain"):
                dataset = f"{settings.hf_dataset_prefix}-{domain}-{settings.dataset_name or name}"
                return f"{settings.hf_organization}/{dataset}"
    raise ConfigError(f"{settings.resource_config_path}: there is no resources server with a domain in it")


def check_rows(path: Path, *, requests: bool) -> None:
    """Check the rows of a file.

    Args:
        requests: whether every row must be a request.

    Raises:
        DataError: a line is wrong; the message names it.
        UsageError: the file is missing or empty.
    """
    is_empty = True
    for line, row in read_rows(path):
        is_empty = False
        if requests:
            try:
                check_typed_params(row.get(keys.PARAMS))
            except UsageError as error:
                raise DataError(f"{path}:{line}: {error}") from None
    if is_empty:
        raise UsageError(f"{path}: there is nothing in it")
