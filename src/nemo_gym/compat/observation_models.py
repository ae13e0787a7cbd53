"""The models of an agent's report about a rollout, and of the trajectory made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, model_validator

from nemo_gym.compat.config_types import ModelServerRef
from nemo_gym.compat.openai_items import NeMoGymResponse, NeMoGymResponseInput, NeMoGymResponseInputItem


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ObservationGap(_Strict):
    """Something that could not be observed."""

    code: str
    invocation_id: str | None = None
    detail: str | None = None


class ModelCallRef(_Strict):
    """Which model call: by the id of its capture, or by its server and the id of its response."""

    model_call_id: str | None = None
    model_ref: ModelServerRef | None = None
    response_id: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model_call_id is None and (self.model_ref is None or self.response_id is None):
            raise ValueError("model_call_id or both model_ref and response_id are needed")
        return self


class AgentInvocation(_Strict):
    """One agent at work, the main one or a sub-agent."""

    kind: Literal["agent_invocation"] = "agent_invocation"
    invocation_id: str
    parent_invocation_id: str | None = None
    spawned_by_tool_call_id: str | None = None
    status: Literal["completed", "failed", "incomplete", "unknown"] = "unknown"
    duration_ms: NonNegativeFloat | None = None
    error_type: str | None = None
    model_calls: list[ModelCallRef] = Field(default_factory=list[ModelCallRef])
    conversation: NeMoGymResponseInput = Field(default_factory=list[NeMoGymResponseInputItem])


class ToolCallObservation(_Strict):
    """One call of a tool."""

    kind: Literal["tool_call"] = "tool_call"
    invocation_id: str
    tool_call_id: str
    sandbox_id: str | None = None
    tool_name: str | None = None
    started_at: float | None = None
    completed_at: float | None = None
    duration_ms: NonNegativeFloat | None = None
    timing_source: Literal["executor", "artifact", "harness"] | None = None
    status: Literal["completed", "failed", "timeout", "cancelled", "incomplete", "unknown"] = "unknown"
    error_type: str | None = None
    output: Any = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (
            self.started_at is not None
            and self.completed_at is not None
            and self.completed_at < self.started_at
        ):
            raise ValueError("completed_at must not be before started_at")
        return self


class SandboxObservation(_Strict):
    """One sandbox that was used."""

    kind: Literal["sandbox"] = "sandbox"
    role: Literal["agent", "verifier", "environment"]
    provider: str | None = None
    sandbox_id: str | None = None
    outcome: Literal["completed", "failed", "timeout", "oom", "sandbox_error", "cancelled", "unknown"] = (
        "unknown"
    )
    exit_code: int | None = None
    wall_time_s: NonNegativeFloat | None = None
    cpu_time_s: NonNegativeFloat | None = None
    peak_memory_mib: NonNegativeFloat | None = None
    resource_usage_source: str | None = None
    error_type: str | None = None


class ContextCompactionObservation(_Strict):
    """A conversation that was shortened to go on."""

    kind: Literal["context_compaction"] = "context_compaction"
    invocation_id: str
    observed_at: float | None = None
    trigger: str | None = None
    tokens_before: NonNegativeInt | None = None
    tokens_after: NonNegativeInt | None = None
    outcome: Literal["completed", "failed", "aborted", "unknown"] = "unknown"
    summary: str | None = None
    first_kept_item_id: str | None = None
    before_model_call: ModelCallRef | None = None
    model_calls: list[ModelCallRef] = Field(default_factory=list[ModelCallRef])
    after_model_call: ModelCallRef | None = None


Observation = Annotated[
    AgentInvocation | ToolCallObservation | SandboxObservation | ContextCompactionObservation,
    Field(discriminator="kind"),
]


class AgentObservationBundle(_Strict):
    """All that an agent reports: the value of `ng_agent_observations`."""

    source: str
    records: list[Observation] = Field(default_factory=list[Observation])
    gaps: list[ObservationGap] = Field(default_factory=list[ObservationGap])

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_invocations(of_kind(self.records, AgentInvocation))
        return self


@dataclass
class AgentEpisode:
    """What an adapter of a harness hands back."""

    response: NeMoGymResponse
    observations: AgentObservationBundle


class TrajectoryTokenStats(_Strict):
    """Token counts of a model call; None is unknown."""

    prompt_tokens: NonNegativeInt | None = None
    completion_tokens: NonNegativeInt | None = None
    reasoning_tokens: NonNegativeInt | None = None
    total_tokens: NonNegativeInt | None = None
    cached_tokens: NonNegativeInt | None = None


class TrajectoryResponseMetadata(_Strict):
    """What is known of a response beside its content."""

    response_id: str | None = None
    model_ref: ModelServerRef | None = None
    model: str | None = None
    dialect: str | None = None
    status_code: int | None = None
    response_status: str | None = None
    finish_reason: str | None = None
    error_category: str | None = None
    latency_ttft_ms: NonNegativeFloat | None = None


class TrajectoryModelCall(_Strict):
    """One model call of a trajectory."""

    model_call_id: str
    started_at: float | None = None
    completed_at: float | None = None
    duration_ms: NonNegativeFloat | None = None
    request: Any = None
    response: Any = None
    response_metadata: TrajectoryResponseMetadata = Field(default_factory=TrajectoryResponseMetadata)
    token_stats: TrajectoryTokenStats = Field(default_factory=TrajectoryTokenStats)


class TrajectoryToolCall(ToolCallObservation):
    """One tool call of a trajectory."""


class TrajectoryTurn(_Strict):
    """A question to an agent and its answer."""

    invocation_id: str
    task_id: str = ""
    rollout_id: str = ""
    turn_no: int = Field(ge=1)
    timestamp: Any = None
    question: Any = None
    answer: Any = None
    reasoning_content: Any = None
    resolved: bool | None = None
    step_count: NonNegativeInt | None = None
    model_calls: list[ModelCallRef] = Field(default_factory=list[ModelCallRef])


class TrajectoryRecord(_Strict):
    """A rollout as it was observed: the value of `ng_trajectory`."""

    schema_version: Literal["1.0"] = "1.0"
    task_id: str
    rollout_id: str
    invocations: list[AgentInvocation] = Field(default_factory=list[AgentInvocation])
    turns: list[TrajectoryTurn] = Field(default_factory=list[TrajectoryTurn])
    model_calls: list[TrajectoryModelCall] = Field(default_factory=list[TrajectoryModelCall])
    tool_calls: list[TrajectoryToolCall] = Field(default_factory=list[TrajectoryToolCall])
    context_compactions: list[ContextCompactionObservation] = Field(
        default_factory=list[ContextCompactionObservation]
    )
    sandboxes: list[SandboxObservation] = Field(default_factory=list[SandboxObservation])
    gaps: list[ObservationGap] = Field(default_factory=list[ObservationGap])

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_invocations(self.invocations)
        return self


T = TypeVar("T")


def of_kind(records: Sequence[object], kind: type[T]) -> list[T]:
    """The records of one kind."""
    return [record for record in records if isinstance(record, kind)]


def _check_invocations(invocations: Sequence[AgentInvocation]) -> None:
    parents = {each.invocation_id: each.parent_invocation_id for each in invocations}
    if len(parents) < len(invocations):
        raise ValueError("invocation_id must be unique")
    for start in parents:
        seen: set[str] = set()
        place: str | None = start
        while place is not None and place in parents:
            if place in seen:
                raise ValueError("parent_invocation_id must not form a cycle")
            seen.add(place)
            place = parents[place]
