"""Configuration models of existing servers: references, instances, data sets, and metric bodies."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig as DictConfig
from omegaconf import OmegaConf as OmegaConf
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from nemo_gym.config.errors import AlmostServerError as AlmostServerError
from nemo_gym.config.errors import ConfigError as ConfigError
from nemo_gym.config.errors import ConfigMissingValuesError as ConfigMissingValuesError
from nemo_gym.config.errors import ConfigPathNotFoundError as ConfigPathNotFoundError
from nemo_gym.config.errors import InheritPathNotFoundError as InheritPathNotFoundError
from nemo_gym.config.errors import MalformedConfigPathsError as MalformedConfigPathsError
from nemo_gym.config.errors import NoServerInstancesError as NoServerInstancesError
from nemo_gym.config.errors import ServerRefNotFoundError as ServerRefNotFoundError
from nemo_gym.serving.rollout_prefix import ROLLOUT_PATH_PREFIX as ROLLOUT_PATH_PREFIX
from nemo_gym.wire import keys

AGENT_REF_KEY = keys.AGENT_REF


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


_any_ref: TypeAdapter[ServerRef] = TypeAdapter(ServerRef)


def is_server_ref(value: Any) -> ServerRef | None:
    """The reference that a configuration value is, or None."""
    try:
        return _any_ref.validate_python(dict(value))
    except (ValueError, TypeError):
        return None


class Domain(StrEnum):
    """What an environment is about."""

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
    """The data set of a benchmark, made by its `prepare_script`."""

    name: str
    type: Literal["benchmark"]
    jsonl_fpath: Path
    prepare_script: Path
    prompt_config: Path | None = None
    num_repeats: int = Field(default=1, ge=1)


class BaseRunServerTypeConfig(BaseRunServerConfig):
    """One implementation's block of a YAML file, before host and port are known."""

    model_config = ConfigDict(extra="allow")

    host: str | None = None  # type: ignore[assignment]  # filled in when the configuration is resolved
    port: int | None = None  # type: ignore[assignment]  # likewise
    datasets: list[DatasetConfig | BenchmarkDatasetConfig] | None = None


class BaseNeMoGymCLIConfig(BaseModel):
    """Settings of a command."""


class AggregateMetricsRequest(BaseModel):
    verify_responses: list[dict[str, Any]]
    """Scored rows, without their payloads."""

    @field_validator("verify_responses")
    @classmethod
    def _know_their_task(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for place, row in enumerate(rows):
            if type(row.get(keys.TASK_INDEX)) is not int:
                raise ValueError(f"row {place}: {keys.TASK_INDEX}: a whole number is missing")
        return rows


class AggregateMetrics(BaseModel):
    """What the rows of an agent come to."""

    group_level_metrics: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    agent_metrics: dict[str, Any] = Field(default_factory=dict)
    key_metrics: dict[str, Any] = Field(default_factory=dict)
