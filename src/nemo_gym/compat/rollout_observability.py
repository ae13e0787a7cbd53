"""An agent's report about a rollout, its join with captured model calls, and the trajectory.

The join looks a reference up by the id of the call, or by its server and the id of its response. A reference
that fits no captured call, or several, is a gap; no call is assigned by its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, model_validator

from nemo_gym.compat.config_types import ModelServerRef
from nemo_gym.compat.model_call_records import ModelCallRecord
from nemo_gym.compat.openai_items import NeMoGymResponse, NeMoGymResponseInput, NeMoGymResponseInputItem


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ObservationGap(_Strict):
    """Something that could not be observed."""

    code: str
    invocation_id: str | None = None
    detail: str | None = None


class ModelCallRef(_Strict):
    """A reference to a model call: the id of its capture, or its server and the id of its response."""

    model_call_id: str | None = None
    model_ref: ModelServerRef | None = None
    response_id: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model_call_id is None and (self.model_ref is None or self.response_id is None):
            raise ValueError("model_call_id or both model_ref and response_id are needed")
        return self


class AgentInvocation(_Strict):
    """The work of one agent, the main one or a sub-agent."""

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
    """The use of one sandbox."""

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
    """A conversation that an agent shortened in order to go on."""

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
    """An agent's whole report: the value of `ng_agent_observations`."""

    source: str
    records: list[Observation] = Field(default_factory=list[Observation])
    gaps: list[ObservationGap] = Field(default_factory=list[ObservationGap])

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_invocations(of_kind(self.records, AgentInvocation))
        return self


@dataclass
class AgentEpisode:
    """The result of a harness adapter: the response and the report."""

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
    """The facts about a response besides its content."""

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
    """One question to an agent and the answer."""

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
    """The observed trajectory of a rollout: the value of `ng_trajectory`."""

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


def join_model_call_observations(
    bundle: AgentObservationBundle, calls: Sequence[ModelCallRecord]
) -> AgentObservationBundle:
    """The bundle with complete references to captured calls, and a gap for each call or reference that can't
    be joined. A second join changes nothing."""
    result = bundle.model_copy(deep=True)
    join = _Join(calls)
    for invocation in of_kind(result.records, AgentInvocation):
        join.claim(invocation)
    for compaction in of_kind(result.records, ContextCompactionObservation):
        join.complete(compaction)
    other_gaps = [gap for gap in result.gaps if not _is_of_join(gap)]
    result.gaps = each_once([*other_gaps, *join.gaps, *join.unowned()])
    return result


T = TypeVar("T")


def of_kind(records: Sequence[object], kind: type[T]) -> list[T]:
    """The records of one kind."""
    return [record for record in records if isinstance(record, kind)]


def each_once(gaps: Iterable[ObservationGap]) -> list[ObservationGap]:
    """The gaps without repetitions, in their order."""
    return list({(gap.code, gap.invocation_id, gap.detail): gap for gap in gaps}.values())


def _check_invocations(invocations: Sequence[AgentInvocation]) -> None:
    parents = {each.invocation_id: each.parent_invocation_id for each in invocations}
    if len(parents) < len(invocations):
        raise ValueError("invocation_id must be unique")
    for start in parents:
        path: set[str] = set()
        place: str | None = start
        while place is not None and place in parents:
            if place in path:
                raise ValueError("parent_invocation_id must not form a cycle")
            path.add(place)
            place = parents[place]


_UNOWNED: Final = "model_call_ownership_unavailable"
_AMBIGUOUS: Final = "model_call_reference_ambiguous"
_CONFLICT: Final = "model_call_reference_conflict"
_UNMATCHED: Final = "model_call_reference_unmatched"


class _Join:
    def __init__(self, calls: Sequence[ModelCallRecord]) -> None:
        self.gaps: list[ObservationGap] = []
        self._calls = calls
        self._owners: dict[int, str] = {}
        """The invocation of each call, by the call's place."""

    def claim(self, invocation: AgentInvocation) -> None:
        """Complete an invocation's references. Each call has one owner."""
        for place, reference in enumerate(invocation.model_calls):
            call = self._find(reference, invocation.invocation_id)
            if call is None:
                continue
            if call.call_index in self._owners:
                self._add_gap(_CONFLICT, invocation.invocation_id, call.model_call_id)
                continue
            self._owners[call.call_index] = invocation.invocation_id
            invocation.model_calls[place] = _complete(reference, call)

    def complete(self, compaction: ContextCompactionObservation) -> None:
        """Complete a compaction's references to calls of its own invocation."""

        def own(name: str, reference: ModelCallRef) -> ModelCallRef:
            call = self._find(reference, compaction.invocation_id)
            if call is None:
                return reference
            owner = self._owners.get(call.call_index)
            if owner == compaction.invocation_id:
                return _complete(reference, call)
            code = _UNOWNED if owner is None else _CONFLICT
            self._add_gap(code, compaction.invocation_id, f"{name}:{call.model_call_id}")
            return reference

        if compaction.before_model_call:
            compaction.before_model_call = own("before_model_call", compaction.before_model_call)
        compaction.model_calls = [own("model_calls", reference) for reference in compaction.model_calls]
        if compaction.after_model_call:
            compaction.after_model_call = own("after_model_call", compaction.after_model_call)

    def unowned(self) -> list[ObservationGap]:
        """A gap for every captured call that no invocation claims."""
        return [
            ObservationGap(code=_UNOWNED, detail=f"capture:{call.model_call_id}:call_index={call.call_index}")
            for call in self._calls
            if call.call_index not in self._owners
        ]

    def _find(self, reference: ModelCallRef, invocation_id: str) -> ModelCallRecord | None:
        matches = [call for call in self._calls if _fits(reference, call)]
        if len(matches) == 1:
            return matches[0]
        detail = reference.model_call_id or reference.response_id
        self._add_gap(_AMBIGUOUS if matches else _UNMATCHED, invocation_id, detail)
        return None

    def _add_gap(self, code: str, invocation_id: str, detail: str | None) -> None:
        self.gaps.append(ObservationGap(code=code, invocation_id=invocation_id, detail=detail))


def _fits(reference: ModelCallRef, call: ModelCallRecord) -> bool:
    if reference.model_call_id is not None:
        return call.model_call_id == reference.model_call_id
    return call.response_id == reference.response_id and call.model_ref == reference.model_ref


def _complete(reference: ModelCallRef, call: ModelCallRecord) -> ModelCallRef:
    return ModelCallRef(
        model_call_id=call.model_call_id or reference.model_call_id,
        model_ref=call.model_ref or reference.model_ref,
        response_id=call.response_id or reference.response_id,
    )


def _is_of_join(gap: ObservationGap) -> bool:
    """Whether an earlier join added the gap."""
    if gap.code == _UNOWNED:
        places = ("capture:", "before_model_call:", "model_calls:", "after_model_call:")
        return (gap.detail or "").startswith(places)
    return gap.code in (_AMBIGUOUS, _CONFLICT, _UNMATCHED)
