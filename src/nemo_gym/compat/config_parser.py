"""One configuration from all its sources, for programs that start the system themselves."""

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
    """Where the configuration comes from."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    NO_MODEL_GLOBAL_CONFIG_DICT: ClassVar[DictConfig] = DictConfig(
        {**dict.fromkeys(POLICY_SETTINGS, ""), POLICY: model_tree(PLACEHOLDER, {})}
    )
    """A placeholder for the model, for programs that need none."""

    dotenv_path: Path | None = None
    """An `env.yaml`; it need not exist. None looks for one in the search roots."""
    initial_global_config_dict: DictConfig | None = None
    """Values given in code; they win over files."""
    skip_load_from_cli: bool = False
    """Leave this program's own arguments alone."""
    skip_load_from_dotenv: bool = False
    hide_secrets: bool = False
    offline: bool = False
    """Choose no ports."""


class GlobalConfigDictParser(BaseModel):
    """Makes the merged configuration."""

    def parse(self, parse_config: GlobalConfigDictParserConfig | None = None) -> DictConfig:
        """The merged configuration with nothing left open.

        Raises:
            ConfigError: what is wrong with it.
        """
        chosen = parse_config or GlobalConfigDictParserConfig()
        config = self.resolve(chosen)
        return DictConfig(config.without_secrets() if chosen.hide_secrets else config.tree)

    def parse_no_environment(self, initial_global_config_dict: DictConfig | None = None) -> DictConfig:
        """The same from values given in code alone: no arguments, no `env.yaml`, no ports.

        Raises:
            ConfigError: what is wrong with it.
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
        """The files that are read, those that they include among them, and what they come to, merged.

        Raises:
            ConfigError: a file is missing or can't be read.
        """
        sources = read_sources(list(config_paths), search_roots(enclosing_roots()))
        return list(sources.files), [DictConfig(sources.tree)]

    def resolve(self, parse_config: GlobalConfigDictParserConfig) -> Config:
        """The merged configuration with its instances and notices.

        Raises:
            ConfigError: what is wrong with it.
        """
        dotenv_path = parse_config.dotenv_path
        return resolve(
            overrides=[] if parse_config.skip_load_from_cli else _arguments(),
            initial=cast("dict[str, Any] | None", parse_config.initial_global_config_dict),
            env_file=dotenv_path
            if _is_there(dotenv_path) and not parse_config.skip_load_from_dotenv
            else None,
            use_env_file=dotenv_path is None and not parse_config.skip_load_from_dotenv,
            search_dirs=enclosing_roots(),
            offline=parse_config.offline,
        )


def _arguments() -> list[str]:
    """This program's arguments that are changes; its flags are its own business."""
    return [word for word in sys.argv[1:] if is_override(word) and not word.startswith("-")]


def _is_there(path: Path | None) -> bool:
    return path is not None and path.is_file()
