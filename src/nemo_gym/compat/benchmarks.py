"""Benchmarks as configuration files: an agent instance with exactly one data set of type `benchmark`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Self, cast

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from nemo_gym.compat.config_parser import GlobalConfigDictParser, GlobalConfigDictParserConfig
from nemo_gym.compat.config_types import BenchmarkDatasetConfig, ConfigError
from nemo_gym.config.builtins import POLICY
from nemo_gym.config.sources import INCLUDES, include_list, read_sources, search_roots
from nemo_gym.config.tree import MISSING, Tree, as_mapping, get, leaves, merge, to_tree
from nemo_gym.serving.checkouts import enclosing_roots


class BenchmarkConfig(BaseModel):
    """The content of a benchmark's file."""

    name: str
    path: Path
    agent_name: str
    """The instance that declares the data set."""
    num_repeats: int
    dataset: BenchmarkDatasetConfig

    @classmethod
    def from_config_path(cls, config_path: Path, *, strict: bool = True) -> Self | None:
        """The benchmark in a file; None for a file without a benchmark.

        Args:
            config_path: the file.
            strict: whether every value must be set. If not, the file may have `???` and a `${...}` that
                refers to nothing, which only a run needs.

        Raises:
            ConfigError: the file can't be used, or has several benchmarks.
        """
        return cls.from_initial_config_dict(
            config_path, DictConfig({INCLUDES: [str(config_path.absolute())]}), strict=strict
        )

    @classmethod
    def from_initial_config_dict(
        cls, path: Path, initial_config_dict: DictConfig, *, strict: bool = True
    ) -> Self | None:
        """The same for a configuration in memory; `path` is its origin."""
        config_dict = initial_config_dict if strict else _with_placeholders(initial_config_dict)
        if POLICY not in config_dict:
            placeholder = GlobalConfigDictParserConfig.NO_MODEL_GLOBAL_CONFIG_DICT
            config_dict = cast("DictConfig", OmegaConf.merge(placeholder, config_dict))
        tree = GlobalConfigDictParser().parse_no_environment(config_dict)
        plain = cast("dict[str, Any]", OmegaConf.to_container(tree))
        instances = [
            (name, dataset)
            for name, value in plain.items()
            for agent in as_mapping(as_mapping(value).get("responses_api_agents")).values()
            for dataset in as_mapping(agent).get("datasets") or ()
            if dataset["type"] == "benchmark"
        ]
        if not instances:
            return None
        if len(instances) > 1:
            raise ConfigError(f"{path}: expected one data set of type benchmark, found {len(instances)}")
        [(agent_name, dataset)] = instances
        dataset_config = BenchmarkDatasetConfig.model_validate(dataset)
        return cls(
            name=dataset_config.name,
            path=path,
            agent_name=agent_name,
            num_repeats=dataset_config.num_repeats,
            dataset=dataset_config,
        )


_PLACEHOLDER: Final = "unset"
"""Stands for a value that a run sets."""
_REFERENCE: Final = re.compile(r"\$\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}")


def _with_placeholders(config: DictConfig) -> DictConfig:
    """The configuration and its files, with a placeholder for each value that is not set."""
    plain_tree = to_tree(cast("dict[str, Any]", config))
    paths = include_list(plain_tree.pop(INCLUDES, None), "the values given in code")
    tree = merge(read_sources(paths, search_roots(enclosing_roots())).tree, plain_tree)
    names = set(tree)
    for path, value in list(leaves(tree)):
        if value == MISSING:
            parent = get(tree, path[:-1])
            parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = _PLACEHOLDER
        for reference in _REFERENCE.findall(value) if isinstance(value, str) else ():
            if reference.partition(".")[0] not in names:
                _define(tree, *reference.split("."))
    return DictConfig(tree)


def _define(tree: Tree, *path: str) -> None:
    """Put a placeholder at a path."""
    *parents, last = path
    for key in parents:
        tree = tree.setdefault(key, {})
    tree.setdefault(last, _PLACEHOLDER)
