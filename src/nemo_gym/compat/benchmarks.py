"""Benchmarks as configuration files: an agent instance with exactly one data set of type `benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, cast

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from nemo_gym.compat.config_parser import GlobalConfigDictParser, GlobalConfigDictParserConfig
from nemo_gym.compat.config_types import BenchmarkDatasetConfig, ConfigError
from nemo_gym.config.builtins import POLICY
from nemo_gym.config.tree import as_mapping


class BenchmarkConfig(BaseModel):
    """What a benchmark's file says."""

    name: str
    path: Path
    agent_name: str
    """The instance whose data set it is."""
    num_repeats: int
    dataset: BenchmarkDatasetConfig

    @classmethod
    def from_config_path(cls, config_path: Path) -> Self | None:
        """The benchmark of a file; None for a file without one.

        Raises:
            ConfigError: it can't be used, or has several.
        """
        return cls.from_initial_config_dict(
            config_path, DictConfig({"config_paths": [str(config_path.absolute())]})
        )

    @classmethod
    def from_initial_config_dict(cls, path: Path, initial_config_dict: DictConfig) -> Self | None:
        """The same for a configuration in memory; `path` is where it came from."""
        given = initial_config_dict
        if POLICY not in given:
            placeholder = GlobalConfigDictParserConfig.NO_MODEL_GLOBAL_CONFIG_DICT
            given = cast("DictConfig", OmegaConf.merge(placeholder, given))
        tree = GlobalConfigDictParser().parse_no_environment(given)
        plain = cast("dict[str, Any]", OmegaConf.to_container(tree))
        found = [
            (name, dataset)
            for name, value in plain.items()
            for agent in as_mapping(as_mapping(value).get("responses_api_agents")).values()
            for dataset in as_mapping(agent).get("datasets") or ()
            if dataset["type"] == "benchmark"
        ]
        if not found:
            return None
        if len(found) > 1:
            raise ConfigError(f"{path}: expected one data set of type benchmark, found {len(found)}")
        [(agent_name, dataset)] = found
        made = BenchmarkDatasetConfig.model_validate(dataset)
        return cls(
            name=made.name, path=path, agent_name=agent_name, num_repeats=made.num_repeats, dataset=made
        )
