"""The settings of a collection through servers that run already."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from nemo_gym.compat.skills import SkillsConfig
from nemo_gym.runs.paths import RunPaths


class RolloutCollectionConfig(BaseModel):
    """A collection of the rows of a file. Fields of other versions are ignored."""

    input_jsonl_fpath: str
    output_jsonl_fpath: str
    agent_name: str | None = None
    """The agent for rows that name none."""
    limit: int | None = None
    """How many of the first rows are used; None uses all."""
    num_repeats: int | dict[str, int] = 1
    """Rollouts of each row; a map gives the number by agent, with `_default` for the other agents."""
    num_repeats_add_seed: bool = False
    """Use the number of the repeat as its sampling seed."""
    num_samples_in_parallel: int | None = Field(default=None, ge=1)
    """The number of rollouts at the same time; None adapts to the servers."""
    responses_create_params: dict[str, Any] = Field(default_factory=dict)
    """Request parameters that replace those of every row."""
    prompt_config: str | None = None
    """The prompt file that makes the input of every row."""
    skills: SkillsConfig | None = None
    resume_from_cache: bool = False
    """Continue the collection whose files are at the output."""
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
        """The file with every row of the plan."""
        return RunPaths.of(Path(self.output_jsonl_fpath)).inputs
