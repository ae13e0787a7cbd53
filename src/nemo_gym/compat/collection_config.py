"""What a collection from running servers is asked for, and the rows that it comes to (CONTRACT 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from nemo_gym.compat.config_types import BaseNeMoGymCLIConfig
from nemo_gym.compat.errors import InvalidInput
from nemo_gym.compat.prompt import apply_prompt_to_row, load_prompt_config, validate_prompt_compatibility
from nemo_gym.compat.skills import SkillsConfig, load_skill_directory
from nemo_gym.models.remote import json_object
from nemo_gym.runs.paths import RunPaths
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import check_params
from nemo_gym.wire.task import Row, named_agent

DEFAULT_REPEATS = "_default"
"""In a map of repeats: those of agents that it doesn't name."""


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
    """Laid over every row's own."""
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


def expanded_rows(config: RolloutCollectionConfig) -> Iterator[Row]:
    """Every rollout's row in order, repeats behind one another, equal rows under one task index.

    Raises:
        DataError: a line is not a row.
        InvalidInput: the prompt doesn't fit, or the repeats of an agent are not said.
    """
    path = Path(config.input_jsonl_fpath)
    added: Row = {}
    prompt = load_prompt_config(config.prompt_config) if config.prompt_config else None
    if prompt:
        validate_prompt_compatibility((row for _, row in islice(read_rows(path), config.limit)), prompt)
        added["prompt_config_used"] = config.prompt_config
    if config.skills:
        added[keys.SKILLS_REF] = load_skill_directory(config.skills.path).model_dump()
    seen: dict[int, int] = {}
    for number, (line, given) in enumerate(islice(read_rows(path), config.limit)):
        task = given.get(keys.TASK_INDEX, seen.setdefault(hash(encode(given)), number))
        row = apply_prompt_to_row(given, prompt) if prompt else given
        if config.agent_name:
            ref = {"type": "responses_api_agents", "name": config.agent_name}
            row = {**row, keys.AGENT_REF: row.get(keys.AGENT_REF) or ref}
        try:
            params = {**check_params(row.get(keys.PARAMS)), **config.responses_create_params}
        except UsageError as error:
            raise DataError(f"{path}:{line}: {error}") from None
        row = {**row, **added, keys.PARAMS: params, keys.TASK_INDEX: task}
        for repeat in range(_repeats(config, row)):
            yield _seeded(row, repeat) if config.num_repeats_add_seed else row


def _repeats(config: RolloutCollectionConfig, row: Row) -> int:
    if isinstance(config.num_repeats, int):
        return config.num_repeats
    name = named_agent(row)
    count = config.num_repeats.get(name, config.num_repeats.get(DEFAULT_REPEATS))
    if count is None:
        raise InvalidInput(f"num_repeats says nothing of agent {name!r}: add it, or {DEFAULT_REPEATS}")
    return count


def _seeded(row: Row, seed: int) -> Row:
    params: dict[str, Any] = row[keys.PARAMS]
    metadata: dict[str, str] = params.get("metadata") or {}
    text = encode({"seed": seed, **json_object(metadata, "extra_body")}).decode()
    return {**row, keys.PARAMS: {**params, "metadata": {**metadata, "extra_body": text}}}
