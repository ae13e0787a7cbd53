"""A rollout's trajectory, put together from what its agent reported and what was captured.

A model call that a report names is looked up among the captured ones by its id, or by its server and the id
of its response. What can't be found, or is found twice, is a gap; nothing is assigned by its order.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nemo_gym.capture.capture_records import capture_gaps
from nemo_gym.capture.trajectory import TRAJECTORY, empty_trajectory, trajectory_call, trajectory_task_id
from nemo_gym.compat.model_call_records import (
    CAPTURE_KEY,
    CaptureStore,
    ModelCallRecord,
    aggregate_model_call_records,
    build_model_call_record,
)
from nemo_gym.compat.observation_models import (
    AgentInvocation,
    AgentObservationBundle,
    ContextCompactionObservation,
    ModelCallRef,
    ObservationGap,
    SandboxObservation,
    ToolCallObservation,
    TrajectoryModelCall,
    TrajectoryRecord,
    TrajectoryToolCall,
    of_kind,
)
from nemo_gym.compat.rollout_correlation import rollout_id_of
from nemo_gym.wire import keys
from nemo_gym.wire.json_values import object_of, objects_of

OBSERVATIONS_KEY: Final = "ng_agent_observations"
_PAYLOADS: Final[tuple[str, ...]] = ("request", "response", "request_raw", "response_raw")


def attach_trajectory_record(row: Mapping[str, Any], result: dict[str, Any]) -> None:
    """Put `ng_trajectory` into a result. What doesn't fit together leaves a gap, and the result as it is."""
    try:
        record = build_trajectory_record(row, result)
    except Exception as error:
        log.warning("a rollout's trajectory can't be put together", exc_info=True)
        gap = ObservationGap(code="trajectory_projection_failed", detail=type(error).__name__)
        result.pop(TRAJECTORY, None)
        if capture := object_of(result.get(CAPTURE_KEY)):
            capture["gaps"] = [*objects_of(capture.get("gaps")), gap.model_dump(mode="json")]
            return
        record = TrajectoryRecord(
            task_id=trajectory_task_id(row), rollout_id=str(row.get(keys.ROLLOUT_ID, "")), gaps=[gap]
        )
    result[TRAJECTORY] = record.model_dump(mode="json")


def build_trajectory_record(row: Mapping[str, Any], result: Mapping[str, Any]) -> TrajectoryRecord:
    """The trajectory of a result: what is in its `ng_trajectory` already, with its observations and captured
    calls joined in.

    Raises:
        ValidationError: something of them is not what it should be.
    """
    task_id, rollout_id = trajectory_task_id(row), rollout_id_of(row) or ""
    reported = result.get(TRAJECTORY) or empty_trajectory(task_id, rollout_id)
    record = TrajectoryRecord.model_validate(reported)
    record.task_id, record.rollout_id = task_id, rollout_id
    for turn in record.turns:
        turn.task_id, turn.rollout_id = task_id, rollout_id
    capture = object_of(result.get(CAPTURE_KEY))
    captured = [
        ModelCallRecord.model_validate({"call_index": place, **call})
        for place, call in enumerate(objects_of(capture.get("calls")))
    ]
    if observed := result.get(OBSERVATIONS_KEY):
        bundle = join_model_call_observations(AgentObservationBundle.model_validate(observed), captured)
        _add_observations(record, bundle)
    record.model_calls = _model_calls(record.model_calls, captured)
    record.gaps += [ObservationGap.model_validate(gap) for gap in objects_of(capture.get("gaps"))]
    if not record.model_calls:
        record.gaps.append(ObservationGap(code="model_calls_unavailable"))
    if not record.invocations:
        record.gaps.append(ObservationGap(code="agent_invocations_unavailable"))
    record.gaps = _each_once(record.gaps)
    return TrajectoryRecord.model_validate(record.model_dump())


def join_model_call_observations(
    bundle: AgentObservationBundle, calls: Sequence[ModelCallRecord]
) -> AgentObservationBundle:
    """The bundle with every reference to a captured call completed, and gaps for what can't be joined. Doing
    it again changes nothing."""
    joined = bundle.model_copy(deep=True)
    join = _Join(calls)
    for invocation in of_kind(joined.records, AgentInvocation):
        join.own(invocation)
    for compaction in of_kind(joined.records, ContextCompactionObservation):
        join.bound(compaction)
    kept = [gap for gap in joined.gaps if not _is_ours(gap)]
    joined.gaps = _each_once([*kept, *join.gaps, *join.unowned()])
    return joined


def merge_model_call_capture_into_record(
    record: dict[str, Any], capture_dirs: Sequence[Path], *, include_payloads: bool = False
) -> dict[str, Any]:
    """Attach what was captured of a rollout to its row, as `ng_model_call_capture`, and complete the
    references to model calls in what its agent reported.

    Args:
        record: the row, which is changed; without an identity it stays as it is.
        capture_dirs: folders that model servers wrote to.
        include_payloads: keep each call's request and response.
    """
    rollout_id = rollout_id_of(record)
    if rollout_id is None or not capture_dirs:
        return record
    stores = [CaptureStore(folder) for folder in capture_dirs]
    calls = [call for store in stores for call in store.read(rollout_id)]
    records = [build_model_call_record(call, place) for place, call in enumerate(calls)]
    left_out: set[str] = set() if include_payloads else {*_PAYLOADS}
    capture: dict[str, Any] = {
        "rollout_id": rollout_id,
        "metrics": aggregate_model_call_records(records),
        "calls": [each.model_dump(mode="json", exclude=left_out) for each in records],
    }
    incomplete = any(store.is_incomplete(rollout_id) for store in stores)
    gaps: list[Any] = list(capture_gaps(len(records), incomplete=incomplete))
    gaps += _join_reported(record, records)
    if gaps:
        capture["gaps"] = gaps
    record[CAPTURE_KEY] = capture
    return record


def _join_reported(record: dict[str, Any], calls: Sequence[ModelCallRecord]) -> list[dict[str, Any]]:
    """Join a row's observations with captured calls. Those that can't be read stay as they are: a gap."""
    observed = record.get(OBSERVATIONS_KEY)
    if observed is None:
        return []
    try:
        bundle = AgentObservationBundle.model_validate(observed)
    except ValidationError as error:
        log.warning("what an agent reported can't be joined with its model calls: %s", error)
        return [{"code": "agent_observation_join_failed"}]
    bundle = _with_own_compactions(bundle, calls)
    record[OBSERVATIONS_KEY] = join_model_call_observations(bundle, calls).model_dump(mode="json")
    return []


def _with_own_compactions(
    bundle: AgentObservationBundle, calls: Sequence[ModelCallRecord]
) -> AgentObservationBundle:
    """The bundle with the calls that belong to compactions, where the agent that reported it can tell them;
    a gap, when that fails."""
    if bundle.source not in _COMPACTION_READERS:
        return bundle
    module, name = _COMPACTION_READERS[bundle.source]
    try:
        return getattr(importlib.import_module(module), name)(bundle, calls)
    except ModuleNotFoundError:
        return bundle
    except Exception:
        log.warning(
            "the compactions of %s can't be joined with its model calls", bundle.source, exc_info=True
        )
        bundle.gaps.append(ObservationGap(code="compaction_model_call_join_failed"))
        return bundle


_COMPACTION_READERS: Final = {
    "claude_code": (
        "responses_api_agents.claude_code_agent.observability",
        "associate_claude_code_compaction_calls",
    )
}
"""Existing agents' own functions that find the model calls of a compaction, by what their reports name as the
source."""


log: Final = logging.getLogger(__name__)
_UNOWNED: Final = "model_call_ownership_unavailable"
_JOIN_CODES: Final = (
    "model_call_reference_ambiguous",
    "model_call_reference_conflict",
    "model_call_reference_unmatched",
)


class _Join:
    def __init__(self, calls: Sequence[ModelCallRecord]) -> None:
        self.gaps: list[ObservationGap] = []
        self._calls = calls
        self._owners: dict[int, str] = {}
        """The invocation of each call, by its place."""

    def own(self, invocation: AgentInvocation) -> None:
        """Complete an invocation's references; each call has one owner."""
        for place, reference in enumerate(invocation.model_calls):
            call = self._found(reference, invocation.invocation_id)
            if call is None:
                continue
            if call.call_index in self._owners:
                self._gap("model_call_reference_conflict", invocation.invocation_id, call.model_call_id)
                continue
            self._owners[call.call_index] = invocation.invocation_id
            invocation.model_calls[place] = _completed(reference, call)

    def bound(self, compaction: ContextCompactionObservation) -> None:
        """Complete a compaction's references to calls of its own invocation."""
        compaction.before_model_call = self._bound(
            compaction, "before_model_call", compaction.before_model_call
        )
        compaction.model_calls = [
            each
            for reference in compaction.model_calls
            if (each := self._bound(compaction, "model_calls", reference)) is not None
        ]
        compaction.after_model_call = self._bound(compaction, "after_model_call", compaction.after_model_call)

    def unowned(self) -> list[ObservationGap]:
        """A gap for every captured call that nobody claimed."""
        return [
            ObservationGap(code=_UNOWNED, detail=f"capture:{call.model_call_id}:call_index={call.call_index}")
            for call in self._calls
            if call.call_index not in self._owners
        ]

    def _bound(
        self, compaction: ContextCompactionObservation, name: str, reference: ModelCallRef | None
    ) -> ModelCallRef | None:
        if reference is None:
            return None
        call = self._found(reference, compaction.invocation_id)
        if call is None:
            return reference
        owner = self._owners.get(call.call_index)
        if owner == compaction.invocation_id:
            return _completed(reference, call)
        code = _UNOWNED if owner is None else "model_call_reference_conflict"
        self._gap(code, compaction.invocation_id, f"{name}:{call.model_call_id}")
        return reference

    def _found(self, reference: ModelCallRef, invocation_id: str) -> ModelCallRecord | None:
        matches = [call for call in self._calls if _fits(reference, call)]
        if len(matches) == 1:
            return matches[0]
        code = "model_call_reference_ambiguous" if matches else "model_call_reference_unmatched"
        self._gap(code, invocation_id, reference.model_call_id or reference.response_id)
        return None

    def _gap(self, code: str, invocation_id: str, detail: str | None) -> None:
        self.gaps.append(ObservationGap(code=code, invocation_id=invocation_id, detail=detail))


def _fits(reference: ModelCallRef, call: ModelCallRecord) -> bool:
    if reference.model_call_id is not None:
        return call.model_call_id == reference.model_call_id
    return call.response_id == reference.response_id and call.model_ref == reference.model_ref


def _completed(reference: ModelCallRef, call: ModelCallRecord) -> ModelCallRef:
    return ModelCallRef(
        model_call_id=call.model_call_id or reference.model_call_id,
        model_ref=call.model_ref or reference.model_ref,
        response_id=call.response_id or reference.response_id,
    )


def _is_ours(gap: ObservationGap) -> bool:
    """Whether an earlier join left it."""
    detail = gap.detail or ""
    if gap.code == _UNOWNED:
        return detail.startswith(("capture:", "before_model_call:", "model_calls:", "after_model_call:"))
    return gap.code in _JOIN_CODES


def _add_observations(record: TrajectoryRecord, bundle: AgentObservationBundle) -> None:
    """What the record has already stays; the rest of the bundle joins it."""
    known = {each.invocation_id for each in record.invocations}
    record.invocations += [
        each for each in of_kind(bundle.records, AgentInvocation) if each.invocation_id not in known
    ]
    called = {(each.invocation_id, each.tool_call_id) for each in record.tool_calls}
    record.tool_calls += [
        TrajectoryToolCall.model_validate(each.model_dump())
        for each in of_kind(bundle.records, ToolCallObservation)
        if (each.invocation_id, each.tool_call_id) not in called
    ]
    record.context_compactions += [
        each
        for each in of_kind(bundle.records, ContextCompactionObservation)
        if each not in record.context_compactions
    ]
    record.sandboxes += [
        each for each in of_kind(bundle.records, SandboxObservation) if each not in record.sandboxes
    ]
    record.gaps += bundle.gaps


def _model_calls(
    reported: Sequence[TrajectoryModelCall], captured: Sequence[ModelCallRecord]
) -> list[TrajectoryModelCall]:
    """The reported calls, each with its captured call, then the other captured calls."""
    unused = {call.model_call_id or f"call_index={call.call_index}": call for call in captured}
    calls = [
        each if (call := unused.pop(each.model_call_id, None)) is None else _merged(each, call)
        for each in reported
    ]
    return [
        *calls,
        *(_merged(TrajectoryModelCall(model_call_id=name), call) for name, call in unused.items()),
    ]


def _merged(reported: TrajectoryModelCall, call: ModelCallRecord) -> TrajectoryModelCall:
    captured, known = trajectory_call(call.model_dump()), reported.model_dump()
    nested = {
        name: _known_first(captured[name], known[name]) for name in ("response_metadata", "token_stats")
    }
    merged = {**_known_first(captured, known), **nested, "model_call_id": reported.model_call_id}
    return TrajectoryModelCall.model_validate(merged)


def _known_first(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {name: second.get(name) if value is None else value for name, value in first.items()}


def _each_once(gaps: Iterable[ObservationGap]) -> list[ObservationGap]:
    return list({(gap.code, gap.invocation_id, gap.detail): gap for gap in gaps}.values())
