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
    """Fetch files that aren't here."""
    data_source: Literal["huggingface", "gitlab"] = "huggingface"
    """Where from, when a data set names both in the older form."""
    overwrite_metrics_conflicts: bool = False
    hf_token: str = ""


class DownloadSettings(msgspec.Struct, frozen=True):
    repo_id: str = ""
    artifact_fpath: str = ""
    """One file of the repository, as it is."""
    split: str = ""
    """Rows of one split; without this or an artifact, of every split."""
    revision: str | None = None
    output_fpath: str = ""
    output_dirpath: str = ""
    hf_token: str = ""


class UploadSettings(msgspec.Struct, frozen=True):
    input_jsonl_fpath: str = ""
    hf_organization: str = ""
    resource_config_path: str = ""
    """Configuration of the resources server, for its domain and name."""
    dataset_name: str = ""
    """In place of the resources server's name."""
    hf_dataset_prefix: str = "Nemotron-RL"
    hf_collection_name: str = ""
    hf_collection_slug: str = ""
    """With `hf_collection_name` the collection that the data set is added to."""
    hf_token: str = ""
    split: str = "train"
    """Rows of `train` must be requests."""
    revision: str | None = None
    create_pr: bool = False
    commit_message: str | None = None
    commit_description: str | None = None
    delete_from_gitlab: bool = False


def settings_of(kind: type[T], tree: Mapping[str, Any], **flags: Any) -> T:
    """The settings in a configuration, replaced by the flags that have a value.

    Raises:
        ConfigError: a value is of the wrong type.
    """
    values = {key: tree[key] for key in kind.__struct_fields__ if tree.get(key) is not None}
    try:
        return msgspec.convert(values | {key: value for key, value in flags.items() if value}, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error).replace("$.", "")) from None
