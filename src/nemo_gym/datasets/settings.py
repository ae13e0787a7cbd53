"""The settings of the commands for data sets, named as the keys of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from nemo_gym.config.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)


class CollateSettings(msgspec.Struct, frozen=True):
    output_dirpath: str = ""
    mode: Literal["train_preparation", "example_validation"] | None = None
    should_download: bool = False
    """Whether missing files are downloaded."""
    data_source: Literal["huggingface", "gitlab"] = "huggingface"
    """The store of a data set that names both in the older form."""
    overwrite_metrics_conflicts: bool = False
    hf_token: str = ""


class DownloadSettings(msgspec.Struct, frozen=True):
    repo_id: str = ""
    artifact_fpath: str = ""
    """One file of the repository, which is not converted."""
    split: str = ""
    """The split to download. Without a split and an artifact, every split is downloaded."""
    revision: str | None = None
    output_fpath: str = ""
    output_dirpath: str = ""
    hf_token: str = ""


class UploadSettings(msgspec.Struct, frozen=True):
    input_jsonl_fpath: str = ""
    hf_organization: str = ""
    resource_config_path: str = ""
    """The configuration of the resources server, which has its domain and name."""
    dataset_name: str = ""
    """A name in place of the resources server's name."""
    hf_dataset_prefix: str = "Nemotron-RL"
    hf_collection_name: str = ""
    hf_collection_slug: str = ""
    """Together with `hf_collection_name`, the collection of the data set."""
    hf_token: str = ""
    split: str = "train"
    """The split of the rows. Rows of `train` must be requests."""
    revision: str | None = None
    create_pr: bool = False
    commit_message: str | None = None
    commit_description: str | None = None
    delete_from_gitlab: bool = False


def settings_of(kind: type[T], tree: Mapping[str, Any], **flags: Any) -> T:
    """The settings of a configuration. Flags with a value replace them.

    Raises:
        ConfigError: a value is of the wrong type.
    """
    values = {key: tree[key] for key in kind.__struct_fields__ if tree.get(key) is not None}
    try:
        return msgspec.convert(values | {key: value for key, value in flags.items() if value}, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error).replace("$.", "")) from None
