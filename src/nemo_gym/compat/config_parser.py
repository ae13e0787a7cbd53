"""Merges the configuration from all its sources, for programs that start the servers themselves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from omegaconf import DictConfig
from pydantic import BaseModel, ConfigDict

from nemo_gym.config.builtins import POLICY, POLICY_SETTINGS, model_tree
from nemo_gym.config.overrides import is_override
from nemo_gym.config.resolve import Config, resolve
from nemo_gym.config.server_kinds import PLACEHOLDER
from nemo_gym.config.sources import read_sources, search_roots
from nemo_gym.serving.checkouts import enclosing_roots


class GlobalConfigDictParserConfig(BaseModel):
    """The sources of the configuration."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    NO_MODEL_GLOBAL_CONFIG_DICT: ClassVar[DictConfig] = DictConfig(
        {**dict.fromkeys(POLICY_SETTINGS, ""), POLICY: model_tree(PLACEHOLDER, {})}
    )
    """A placeholder for the model, for programs that need no model."""

    dotenv_path: Path | None = None
    """The path of an `env.yaml`, which may be missing. None looks for one in the search roots."""
    initial_global_config_dict: DictConfig | None = None
    """Values from the program. They win over files."""
    skip_load_from_cli: bool = False
    """Whether the program's arguments are ignored."""
    skip_load_from_dotenv: bool = False
    hide_secrets: bool = False
    offline: bool = False
    """Whether no ports are chosen."""


class GlobalConfigDictParser(BaseModel):
    """Merges and resolves a configuration."""

    def parse(self, parse_config: GlobalConfigDictParserConfig | None = None) -> DictConfig:
        """The merged configuration with all values resolved.

        Raises:
            ConfigError: the configuration is wrong.
        """
        sources = parse_config or GlobalConfigDictParserConfig()
        config = self.resolve(sources)
        return DictConfig(config.without_secrets() if sources.hide_secrets else config.tree)

    def parse_no_environment(self, initial_global_config_dict: DictConfig | None = None) -> DictConfig:
        """The same from values of the program alone, without arguments, `env.yaml` and ports.

        Raises:
            ConfigError: the configuration is wrong.
        """
        return self.parse(
            GlobalConfigDictParserConfig(
                initial_global_config_dict=initial_global_config_dict,
                skip_load_from_cli=True,
                skip_load_from_dotenv=True,
                offline=True,
            )
        )

    def load_extra_config_paths(self, config_paths: Sequence[str]) -> tuple[list[str], list[DictConfig]]:
        """The paths of the files, including the files that they include, and the merged content.

        Raises:
            ConfigError: a file is missing or can't be read.
        """
        sources = read_sources(list(config_paths), search_roots(enclosing_roots()))
        return list(sources.files), [DictConfig(sources.tree)]

    def resolve(self, parse_config: GlobalConfigDictParserConfig) -> Config:
        """The merged configuration with its instances and notices.

        Raises:
            ConfigError: the configuration is wrong.
        """
        path, use_dotenv = parse_config.dotenv_path, not parse_config.skip_load_from_dotenv
        return resolve(
            overrides=[] if parse_config.skip_load_from_cli else _arguments(),
            initial=cast("dict[str, Any] | None", parse_config.initial_global_config_dict),
            env_file=path if use_dotenv and path is not None and path.is_file() else None,
            use_env_file=use_dotenv and path is None,
            search_dirs=enclosing_roots(),
            offline=parse_config.offline,
        )


def _arguments() -> list[str]:
    """The arguments of this program that change the configuration. Its flags are left to the program."""
    return [word for word in sys.argv[1:] if is_override(word) and not word.startswith("-")]
