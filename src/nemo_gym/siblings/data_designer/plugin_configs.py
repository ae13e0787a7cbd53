"""The parts of a Data Designer configuration that belong to this package."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import Any, Literal

from nemo_gym.siblings.data_designer.column_tasks import column_mapping
from nemo_gym.siblings.data_designer.mapping import Mapping

_SingleColumnConfig: Any = import_module("data_designer.config.base").SingleColumnConfig
_SeedSource: Any = import_module("data_designer.config.seed_source").SeedSource


class _TaskColumnConfig(_SingleColumnConfig):
    """A column about the task in each record."""

    mapping: str | dict[str, Any]
    """Which columns make the task: the name of a preset, or a mapping."""
    environment: str = ""
    """The environment; by default that of the mapping."""
    settings: dict[str, Any] = {}
    """Its settings."""

    @cached_property
    def task_mapping(self) -> Mapping:
        """The whole mapping."""
        return column_mapping(self.mapping, self.environment, self.settings)

    def model_post_init(self, _: Any) -> None:
        try:
            _ = self.task_mapping
        except Exception as error:
            raise ValueError(str(error)) from None


class GymVerifyColumnConfig(_TaskColumnConfig):
    """The verdict of an environment on an answer in another column."""

    column_type: Literal["gym-verify"] = "gym-verify"
    answer: str
    """The column with the answer: text, a path in a structured column, or a `__trace` with tool calls."""

    @staticmethod
    def get_column_emoji() -> str:
        return "🏋️"

    @property
    def required_columns(self) -> list[str]:
        return sorted({*self.task_mapping.used_columns(), self.answer.split(".")[0]})

    @property
    def side_effect_columns(self) -> list[str]:
        return [f"{self.name}__error"]


class GymRolloutColumnConfig(_TaskColumnConfig):
    """A rollout of an environment with a model of the configuration."""

    column_type: Literal["gym-rollout"] = "gym-rollout"
    model_alias: str
    """The model that acts."""
    models: dict[str, str] = {}
    """The aliases of the models that the environment asks, by the names it declares: `{user: writer}`."""
    max_steps: int | None = None
    """The most model calls of a rollout."""
    timeout: float = 3600.0
    """Seconds that a rollout may take."""

    @staticmethod
    def get_column_emoji() -> str:
        return "🏋️"

    @property
    def required_columns(self) -> list[str]:
        return sorted(self.task_mapping.used_columns())

    @property
    def side_effect_columns(self) -> list[str]:
        return [f"{self.name}__error", f"{self.name}__trace"]

    def get_model_aliases(self) -> list[str]:
        return [self.model_alias, *self.models.values()]


class GymTasksSeedSource(_SeedSource):
    """Tasks as seed rows: of a file, or an environment's own."""

    seed_type: Literal["gym-tasks"] = "gym-tasks"
    path: str = ""
    """A JSONL file of tasks."""
    environment: str = ""
    """An environment that has tasks of its own, if there is no file."""
    settings: dict[str, Any] = {}
    """Its settings."""
    split: str = "train"
    seed: int = 0
    limit: int | None = None
    """At most so many tasks."""


class GymRolloutsSeedSource(_SeedSource):
    """Rollouts as seed rows."""

    seed_type: Literal["gym-rollouts"] = "gym-rollouts"
    path: str
    """The rollouts file of a run."""
    min_reward: float | None = None
    max_reward: float | None = None
    limit: int | None = None
    """At most so many rollouts."""
