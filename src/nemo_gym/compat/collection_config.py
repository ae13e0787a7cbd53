"""The settings of a collection from running servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from nemo_gym.compat.config_types import BaseNeMoGymCLIConfig
from nemo_gym.compat.skills import SkillsConfig
from nemo_gym.runs.paths import RunPaths


class RolloutCollectionConfig(BaseNeMoGymCLIConfig):
    """Rollouts of the rows of a file. Fields of other versions are left alone."""

    input_jsonl_fpath: str
    output_jsonl_fpath: str
    agent_name: str | None = None
    """For rows that name none."""
    limit: int | None = None
    """Only the first so many rows."""
    num_repeats: int | dict[str, int] = 1
    """Rollouts of each row; a map says it by agent, with `_default` for the others."""
    num_repeats_add_seed: bool = False
    """Sample every repeat with a seed: its number."""
    num_samples_in_parallel: int | None = Field(default=None, ge=1)
    """Rollouts in flight; None adapts to the servers."""
    responses_create_params: dict[str, Any] = Field(default_factory=dict)
    """Request parameters that replace every row's own."""
    prompt_config: str | None = None
    """A prompt file that every row's input is made from."""
    skills: SkillsConfig | None = None
    resume_from_cache: bool = False
    """Go on with the collection whose files are at the output."""
    rollout_collection_driver: str | None = None
    """`module.path:function` that collects in place of the built-in loop."""

    @field_validator("num_repeats", mode="before")
    @classmethod
    def _one_by_default(cls, value: object) -> object:
        return 1 if value is None else value

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        counts = self.num_repeats.values() if isinstance(self.num_repeats, dict) else [self.num_repeats]
        if min(counts, default=1) < 1:
            raise ValueError(f"num_repeats must be 1 or more, got {self.num_repeats}")
        return self

    @property
    def materialized_jsonl_fpath(self) -> Path:
        """The file with every row that is dispatched."""
        return RunPaths.of(Path(self.output_jsonl_fpath)).inputs
