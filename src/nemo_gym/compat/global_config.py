"""The merged configuration of a running system, as server processes and trainers read it."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping
from typing import Any, Final, cast

from omegaconf import DictConfig as DictConfig
from omegaconf import OmegaConf as OmegaConf

from nemo_gym.compat.config_parser import GlobalConfigDictParser as GlobalConfigDictParser
from nemo_gym.compat.config_parser import GlobalConfigDictParserConfig as GlobalConfigDictParserConfig
from nemo_gym.config.aliases import check_aliases
from nemo_gym.config.errors import *  # noqa: F403 - existing code imports these errors from here
from nemo_gym.config.errors import ConfigError
from nemo_gym.serving.checkouts import SERVER_TYPES
from nemo_gym.wire import keys
from nemo_gym.wire.errors import did_you_mean

NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME: Final = "NEMO_GYM_CONFIG_DICT"
"""The environment variable with the merged configuration, as YAML."""
NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME: Final = "NEMO_GYM_CONFIG_PATH"
"""The environment variable with the name of the instance that this process serves."""

TASK_INDEX_KEY_NAME: Final = keys.TASK_INDEX
ROLLOUT_INDEX_KEY_NAME: Final = keys.ROLLOUT_INDEX
ATTEMPT_INDEX_KEY_NAME: Final = keys.ATTEMPT_INDEX
ROLLOUT_ID_KEY_NAME: Final = keys.ROLLOUT_ID
AGENT_REF_KEY_NAME: Final = keys.AGENT_REF
SKILLS_REF_KEY_NAME: Final = keys.SKILLS_REF
RESPONSES_CREATE_PARAMS_KEY_NAME: Final = keys.PARAMS
RESPONSE_KEY_NAME: Final = keys.RESPONSE

CONFIG_PATHS_KEY_NAME: Final = "config_paths"
ENTRYPOINT_KEY_NAME: Final = "entrypoint"
DEFAULT_HOST_KEY_NAME: Final = "default_host"
USE_ABSOLUTE_IP: Final = "use_absolute_ip"
HEAD_SERVER_KEY_NAME: Final = "head_server"
PORT_RANGE_LOW_KEY_NAME: Final = "port_range_low"
PORT_RANGE_HIGH_KEY_NAME: Final = "port_range_high"
DISALLOWED_PORTS_KEY_NAME: Final = "disallowed_ports"
DRY_RUN_KEY_NAME: Final = "dry_run"
VERBOSE_KEY_NAME: Final = "verbose"
QUERY_KEY_NAME: Final = "query"
JSON_OUTPUT_KEY_NAME: Final = "json"
PYTHON_VERSION_KEY_NAME: Final = "python_version"
HEAD_SERVER_DEPS_KEY_NAME: Final = "head_server_deps"
SKIP_VENV_IF_PRESENT_KEY_NAME: Final = "skip_venv_if_present"
PIP_INSTALL_VERBOSE_KEY_NAME: Final = "pip_install_verbose"
UV_CACHE_DIR_KEY_NAME: Final = "uv_cache_dir"
UV_VENV_DIR_KEY_NAME: Final = "uv_venv_dir"
UV_PIP_SET_PYTHON_KEY_NAME: Final = "uv_pip_set_python"
INHERIT_FROM_KEY_NAME: Final = "_inherit_from"
COPY_KEY_NAME: Final = "_copy"
DELETE_KEY_KEY_NAME: Final = "_delete_key"
HF_TOKEN_KEY_NAME: Final = "hf_token"
SERVER_TOKEN_KEY_NAME: Final = "server_token"  # the token that callers of these servers must send
SERVER_TOKEN_VARIABLE: Final = "NEMO_GYM_SERVER_TOKEN"
"""The environment variable with this token, for callers that have no configuration."""
CACHE_DIR_KEY_NAME: Final = "cache_dir"
RESULTS_DIR_KEY_NAME: Final = "results_dir"
NEMO_GYM_LOG_DIR_KEY_NAME: Final = "nemo_gym_log_dir"
RAY_HEAD_NODE_ADDRESS_KEY_NAME: Final = "ray_head_node_address"
POLICY_BASE_URL_KEY_NAME: Final = "policy_base_url"
POLICY_API_KEY_KEY_NAME: Final = "policy_api_key"
POLICY_MODEL_NAME_KEY_NAME: Final = "policy_model_name"
POLICY_MODEL_KEY_NAME: Final = "policy_model"
OBSERVABILITY_ENABLED_KEY_NAME: Final = "observability_enabled"
TOKEN_ID_CAPTURE_BLOCK: Final = "token_id_capture"

DEFAULT_HEAD_SERVER_PORT: Final = 11000
DEFAULT_HOST: Final = "127.0.0.1"
PORT_RANGE: Final = (10001, 20000)


_config: DictConfig | None = None


def get_global_config_dict(
    global_config_dict_parser_config: GlobalConfigDictParserConfig | None = None,
) -> DictConfig:
    """The merged configuration of this process.

    It is the one of `set_global_config_dict`, else the launcher's, else the one that the argument describes,
    which later calls return too.

    Raises:
        ConfigError: there is none, or it can't be used.
    """
    config = maybe_get_global_config_dict()
    if config is None and global_config_dict_parser_config is not None:
        config = GlobalConfigDictParser().parse(global_config_dict_parser_config)
        set_global_config_dict(config)
    if config is None:
        raise ConfigError(
            f"this process has no configuration: start the server with `gym env start`, or put the merged "
            f"YAML in {NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME}"
        )
    return config


def maybe_get_global_config_dict() -> DictConfig | None:
    """The merged configuration of this process, or None."""
    global _config
    if _config is None and (text := os.environ.get(NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME)):
        _config = config_from_yaml(text)
    return _config


def settings() -> dict[str, Any]:
    """The settings of this process; empty without a configuration."""
    return cast("dict[str, Any]", maybe_get_global_config_dict() or {})


def set_global_config_dict(config: DictConfig | None) -> None:
    """Set the merged configuration of this process; None removes it."""
    global _config
    _config = config


def config_from_yaml(text: str) -> DictConfig:
    """A configuration from its YAML.

    Raises:
        ConfigError: it is not a mapping, or its aliases make it huge.
    """
    check_aliases(text)
    config = cast("Any", OmegaConf.create(text))
    if not isinstance(config, DictConfig):
        raise ConfigError(f"a configuration is a mapping, not a {type(config).__name__}")
    return config


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as plain data, with all references resolved."""
    if isinstance(config, DictConfig):
        return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))
    return dict(config)


def get_first_server_config_dict(global_config_dict: DictConfig, top_level_path: str) -> DictConfig:
    """The settings block of an instance, below its server type and implementation.

    Raises:
        ConfigError: there is no such instance.
    """
    config = cast("dict[str, Any]", global_config_dict)
    try:
        instance = config[top_level_path]
        return next(iter(next(iter(instance.values())).values()))
    except (KeyError, AttributeError, StopIteration):
        names = [
            str(name)
            for name, value in config.items()
            if isinstance(value, (DictConfig, dict)) and any(kind in value for kind in SERVER_TYPES)
        ]
        hint = did_you_mean(top_level_path, names)
        raise ConfigError(f"no server named {top_level_path!r}.{hint}") from None


def find_open_port(disallowed_ports: list[int] | None = None, max_retries: int = 50) -> int:
    """A free port in the configured range. Another program may take it before the caller does.

    Raises:
        ConfigError: `max_retries` tries find none.
    """
    config = settings()
    low = config.get(PORT_RANGE_LOW_KEY_NAME) or PORT_RANGE[0]
    high = config.get(PORT_RANGE_HIGH_KEY_NAME) or PORT_RANGE[1]
    excluded = {*(disallowed_ports or ()), *(config.get(DISALLOWED_PORTS_KEY_NAME) or ())}
    for _ in range(max_retries):
        port = random.randint(low, high)
        if port not in excluded and _can_bind(port):
            return port
    raise ConfigError(f"no free port between {low} and {high} in {max_retries} tries")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def get_server_token() -> str:
    """The bearer token that this process sends to servers; empty for none."""
    return settings().get(SERVER_TOKEN_KEY_NAME) or os.environ.get(SERVER_TOKEN_VARIABLE, "")


def get_hf_token() -> str | None:
    """The configured Hugging Face token, if there is one."""
    return settings().get(HF_TOKEN_KEY_NAME)
