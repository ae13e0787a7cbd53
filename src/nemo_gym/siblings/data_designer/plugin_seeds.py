"""The seed readers `gym-tasks` and `gym-rollouts`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import Any, Final

from nemo_gym.siblings.data_designer.plugin_configs import GymRolloutsSeedSource, GymTasksSeedSource
from nemo_gym.siblings.data_designer.seed_rows import rollout_seeds, task_seeds
from nemo_gym.wire.task import Row

_reader: Any = import_module("data_designer.engine.resources.seed_reader")
_Tasks: Any = _reader.SeedReader[GymTasksSeedSource]
_Rollouts: Any = _reader.SeedReader[GymRolloutsSeedSource]
_TABLE: Final = "gym_seeds"


class _Rows:
    """The table of a reader."""

    source: Any
    create_dataframe_duckdb_connection: Any

    @abstractmethod
    def seed_rows(self) -> Iterator[Row]:
        """The seed rows of the source."""

    def get_dataset_uri(self) -> str:
        return _TABLE

    def create_duckdb_connection(self) -> Any:
        rows = list(islice(self.seed_rows(), self.source.limit))
        if not rows:
            raise _reader.SeedReaderError(f"{self.source.seed_type}: there is no row to start from")
        frame = import_module("pandas").DataFrame(rows)
        return self.create_dataframe_duckdb_connection(table_name=_TABLE, dataframe=frame)


class GymTasksReader(_Rows, _Tasks):
    """Tasks of a file or an environment."""

    def seed_rows(self) -> Iterator[Row]:
        source: GymTasksSeedSource = self.source
        return task_seeds(
            source.path,
            source.environment,
            settings=source.settings,
            split=source.split,
            seed=source.seed,
            limit=source.limit,
        )


class GymRolloutsReader(_Rows, _Rollouts):
    """Scored rollouts of a run."""

    def seed_rows(self) -> Iterator[Row]:
        source: GymRolloutsSeedSource = self.source
        return rollout_seeds(source.path, least=source.min_reward, most=source.max_reward)
