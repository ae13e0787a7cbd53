"""The known top-level settings of a configuration, and the checks for keys that nothing reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from nemo_gym.config.builtins import POLICY_SETTINGS
from nemo_gym.config.errors import ConfigError, nearest
from nemo_gym.config.instances import CATALOGUE_FIELDS, SERVER_FIELDS, Instance
from nemo_gym.config.overrides import Override, exists
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.config.server_kinds import KINDS, as_kind, builtin_settings
from nemo_gym.config.tree import Tree, keys_at, leaves
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import did_you_mean

Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class HeadServer(msgspec.Struct, frozen=True):
    """The address of the head server; without a host, the default host."""

    host: str | None = None
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 11000
    """0 takes any free one."""


class Settings(msgspec.Struct, frozen=True):
    """The settings for addresses and folders; other settings are read by the parts that use them."""

    default_host: str | None = None
    use_absolute_ip: bool = False
    port_range_low: Port = 10001
    port_range_high: Port = 20000
    disallowed_ports: list[int] = []
    head_server: HeadServer = HeadServer()
    results_dir: str = "results"
    cache_dir: str = "cache"
    max_sandboxes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many sessions of one server may have sandboxes at the same time."""
    sandbox_provider: str | dict[str, Any] | None = None
    """The provider that makes the sandboxes: its name, `NAME=URL`, a block, or the name of one."""

    def __post_init__(self) -> None:
        if self.port_range_low > self.port_range_high:
            raise ValueError("port_range_low is above port_range_high")


def read_settings(tree: Tree) -> Settings:
    """The settings of a tree; null means the default.

    Raises:
        ConfigError: one is of the wrong type.
    """
    values = {key: value for key, value in tree.items() if value is not None}
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(explain_misfit(error, Settings)) from None


SETTINGS: Final = frozenset(
    {
        *Settings.__struct_fields__,
        *RunSettings.__struct_encode_fields__,
        *POLICY_SETTINGS,
        "config_paths",
        "entrypoint",
        "allowed_hosts",
        "request_limits",
        "isolate",
        "skip_venv_if_present",
        "uv_cache_dir",
        "uv_venv_dir",
        "uv_pip_set_python",
        "pip_install_verbose",
        "python_version",
        "head_server_deps",
        "nemo_gym_log_dir",
        "ray_head_node_address",
        "skip_verification",
        "skip_verification_reward",
        "observability_enabled",
        "model_call_capture_dir",
        "token_id_capture",
        "global_aiohttp_connector_limit",
        "global_aiohttp_connector_limit_per_host",
        "global_aiohttp_client_request_debug",
        "global_aiohttp_tcp_keepalive_idle_seconds",
        "global_aiohttp_tcp_keepalive_interval_seconds",
        "global_aiohttp_tcp_keepalive_probes",
        "profiling_enabled",
        "profiling_results_dirpath",
        "error_on_almost_servers",
        "json",
        "verbose",
        "query",
        "mode",
        "output_dirpath",
        "should_download",
        "data_source",
        "overwrite_metrics_conflicts",
        "repo_id",
        "artifact_fpath",
        "revision",
        "output_fpath",
        "dataset_name",
        "resource_config_path",
        "hf_organization",
        "hf_dataset_prefix",
        "hf_collection_name",
        "hf_collection_slug",
        "create_pr",
        "commit_message",
        "commit_description",
        "delete_from_gitlab",
        "use_cached_prepared_benchmarks",
        "num_prepare_benchmark_processes",
        "prepare_script_args",
        "num_shards",
        "shard_index",
        "delete_venvs_after_each_test",
        "should_validate_data",
        "environment",
        "agent",
        "model",
    }
)
"""The settings that something reads."""
WITHOUT_EFFECT: Final = frozenset({
    "allow_openai_version_skew", "component_name", "mlflow_experiment_name", "mlflow_run_name",
    "mlflow_tracking_token", "mlflow_tracking_uri", "reuse_existing_data_preparation", "upload_rollouts",
    "uvicorn_logging_show_200_ok", "uvicorn_timeout_worker_healthcheck", "wandb_api_key", "wandb_name",
    "wandb_project",
})  # fmt: skip
"""Settings of existing configurations without an effect here; they get a notice and are never suggested."""
COMMON: Final = frozenset(
    {
        "resources_server",
        "model_server",
        "num_workers",
        "concurrency",
        "skills",
        "timeout",
        "system_prompt",
        "skip_verification",
        "skip_verification_reward",
        "token_id_capture",
    }
)
"""Settings that the server of a component reads."""

_USED: Final = re.compile(r"\$\{\s*(?:oc\.select:\s*)?([\w-]+)")


def check_key(override: Override, *trees: Tree) -> None:
    """Check that a plain `key=value` has a place: in a tree, among the settings, or in a built-in component.

    Raises:
        ConfigError: it has none; with the nearest key beside it.
    """
    path = override.path
    if path[:-1] == ("head_server",) and path[1] not in HeadServer.__struct_fields__:
        hint = did_you_mean(path[1], HeadServer.__struct_fields__)
        raise ConfigError(f"{override.key}: there is no such key.{hint}")
    if exists(path, trees) or path[0] in SETTINGS | WITHOUT_EFFECT:
        return
    if exists(path[:-1], trees) and path[-1] in _fields(path):
        return
    depth = next(n for n in range(1, len(path) + 1) if not exists(path[:n], trees))
    beside = {str(key) for tree in trees for key in keys_at(tree, path[: depth - 1])} | _fields(path[:depth])
    if depth == 1:
        beside |= SETTINGS
    hint = nearest(path[depth - 1], beside)
    raise ConfigError(f"{override.key}: there is no such key.{hint} +{override.key}=... adds it")


def check_spelling(tree: Tree) -> None:
    """Check that no key at the top is a misspelt setting of a run.

    Raises:
        ConfigError: one is; with the right key.
    """
    references = _reference_names(tree)
    for key, value in tree.items():
        name = str(key)
        is_instance = isinstance(value, dict) and any(kind in value for kind in KINDS)
        if is_instance or name in SETTINGS | WITHOUT_EFFECT or name in references:
            continue
        near = get_close_matches(name, _PARTS, n=1, cutoff=_MISSPELT)
        is_plural = isinstance(value, (dict, list)) and near == [name.removesuffix("s")]
        if near and not is_plural:
            raise ConfigError(f"{name}: there is no such key. Did you mean {near[0]!r}?")


_PARTS: Final = ("environment", "agent", "model", *RunSettings.__struct_encode_fields__)
_MISSPELT: Final = 0.8
"""From this likeness on, a key counts as a misspelt form of another one."""


def _reference_names(tree: Tree) -> set[str]:
    """Top-level keys that a value refers to."""
    return {name for _, value in leaves(tree) if isinstance(value, str) for name in _USED.findall(value)}


def unused_keys(tree: Tree) -> Iterator[str]:
    """A line for every top-level value that nothing reads, and one for all settings without effect.

    Mappings are left out: they may be data that a component names.
    """
    references = _reference_names(tree) | WITHOUT_EFFECT
    if idle := sorted(key for key in WITHOUT_EFFECT & tree.keys() if tree[key] is not None):
        those = "this setting has" if len(idle) == 1 else "these settings have"
        yield f"{', '.join(idle)}: {those} no effect here."
    for key, value in tree.items():
        if key not in SETTINGS and key not in references and not isinstance(value, dict):
            yield f"{key}: nothing reads this.{nearest(str(key), SETTINGS)}"


def unused_settings(instance: Instance) -> Iterator[str]:
    """A line for every setting that a built-in component doesn't have."""
    setting_names = builtin_settings(instance.kind, instance.implementation)
    if setting_names is not None:
        for key in instance.settings:
            if key not in setting_names and key not in COMMON:
                where = f"{instance.name}.{key}: the built-in {instance.implementation}"
                yield f"{where} has no such setting.{did_you_mean(key, setting_names)}"


def _fields(path: tuple[str, ...]) -> set[str]:
    """The keys that are possible at the last place of a path inside an instance."""
    if len(path) == 2:
        return set(KINDS)
    kind = as_kind(path[1]) if len(path) == 4 else None
    if kind is None:
        return set()
    return {*CATALOGUE_FIELDS, *SERVER_FIELDS, *COMMON, *(builtin_settings(kind, path[2]) or ())}
