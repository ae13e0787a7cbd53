"""Configuration models of existing servers: references, instances, data sets, and metric bodies."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig as DictConfig
from omegaconf import OmegaConf as OmegaConf
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from nemo_gym.config.errors import *  # noqa: F403 - existing code imports these errors from here
from nemo_gym.serving.rollout_prefix import ROLLOUT_PATH_PREFIX as ROLLOUT_PATH_PREFIX
from nemo_gym.wire import keys


class ModelServerRef(BaseModel):
    type: Literal["responses_api_models"]
    name: str


class ResourcesServerRef(BaseModel):
    type: Literal["resources_servers"]
    name: str


class AgentServerRef(BaseModel):
    type: Literal["responses_api_agents"]
    name: str


ServerRef = ModelServerRef | ResourcesServerRef | AgentServerRef
AGENT_REF_KEY = keys.AGENT_REF

_any_ref: TypeAdapter[ServerRef] = TypeAdapter(ServerRef)


def is_server_ref(value: Any) -> ServerRef | None:
    """The reference in a configuration value, or None."""
    try:
        return _any_ref.validate_python(dict(value))
    except (ValueError, TypeError):
        return None


class Domain(StrEnum):
    """The subject of an environment."""

    MATH = "math"
    CODING = "coding"
    AGENT = "agent"
    KNOWLEDGE = "knowledge"
    INSTRUCTION_FOLLOWING = "instruction_following"
    LONG_CONTEXT = "long_context"
    SAFETY = "safety"
    GAMES = "games"
    TRANSLATION = "translation"
    E2E = "e2e"
    RLHF = "rlhf"
    OTHER = "other"


class BaseServerConfig(BaseModel):
    host: str
    port: int
    num_workers: int | None = None


class BaseRunServerConfig(BaseServerConfig):
    entrypoint: str
    domain: Domain | None = None


class BaseRunServerInstanceConfig(BaseRunServerConfig):
    """The settings of one running server. Fields of a subclass become settings of its YAML block."""

    name: str


class DatasetConfig(BaseModel):
    """A data set of an agent instance."""

    model_config = ConfigDict(extra="allow")

    name: str
    type: Literal["train", "validation", "example"]
    jsonl_fpath: str
    num_repeats: int = Field(default=1, ge=1)
    license: str | None = None


class BenchmarkDatasetConfig(BaseModel):
    """The data set of a benchmark. Its `prepare_script` writes the file."""

    name: str
    type: Literal["benchmark"]
    jsonl_fpath: Path
    prepare_script: Path
    prompt_config: Path | None = None
    num_repeats: int = Field(default=1, ge=1)


class BaseRunServerTypeConfig(BaseRunServerConfig):
    """The block of one implementation in a YAML file. Host and port are set when it is resolved."""

    model_config = ConfigDict(extra="allow")

    host: str | None = None  # type: ignore[assignment]
    port: int | None = None  # type: ignore[assignment]
    datasets: list[DatasetConfig | BenchmarkDatasetConfig] | None = None


class BaseNeMoGymCLIConfig(BaseModel):
    """The settings of a command."""


class AggregateMetricsRequest(BaseModel):
    verify_responses: list[dict[str, Any]]
    """Scored rows, without their payloads."""

    @field_validator("verify_responses")
    @classmethod
    def _check_task_index(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for place, row in enumerate(rows):
            if type(row.get(keys.TASK_INDEX)) is not int:
                raise ValueError(f"row {place}: {keys.TASK_INDEX}: expected a whole number")
        return rows


class AggregateMetrics(BaseModel):
    """The metrics of an agent's rows."""

    group_level_metrics: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    agent_metrics: dict[str, Any] = Field(default_factory=dict)
    key_metrics: dict[str, Any] = Field(default_factory=dict)
