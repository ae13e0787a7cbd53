"""Builds a rollout's trajectory from its agent's report and the captured model calls."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nemo_gym.capture.capture_records import capture_gaps
from nemo_gym.capture.trajectory import empty_trajectory, trajectory_call, trajectory_task_id
from nemo_gym.compat.model_call_records import (
    CaptureStore,
    ModelCallRecord,
    aggregate_model_call_records,
    build_model_call_record,
)
from nemo_gym.compat.rollout_correlation import rollout_id_of
from nemo_gym.compat.rollout_observability import (
    AgentInvocation,
    AgentObservationBundle,
    ContextCompactionObservation,
    ObservationGap,
    SandboxObservation,
    ToolCallObservation,
    TrajectoryModelCall,
    TrajectoryRecord,
    TrajectoryToolCall,
    each_once,
    join_model_call_observations,
    of_kind,
)
from nemo_gym.wire import keys
from nemo_gym.wire.json_values import object_of, objects_of

_PAYLOADS: Final[tuple[str, ...]] = ("request", "response", "request_raw", "response_raw")


def attach_trajectory_record(row: Mapping[str, Any], result: dict[str, Any]) -> None:
    """Put `ng_trajectory` into a result. When the parts don't fit together, a gap says so and nothing else
    changes."""
    try:
        record = build_trajectory_record(row, result)
    except Exception as error:
        log.warning("a rollout's trajectory can't be built", exc_info=True)
        gap = ObservationGap(code="trajectory_projection_failed", detail=type(error).__name__)
        result.pop(keys.TRAJECTORY, None)
        if capture := object_of(result.get(keys.MODEL_CALL_CAPTURE)):
            capture["gaps"] = [*objects_of(capture.get("gaps")), gap.model_dump(mode="json")]
            return
        record = TrajectoryRecord(
            task_id=trajectory_task_id(row), rollout_id=str(row.get(keys.ROLLOUT_ID, "")), gaps=[gap]
        )
    result[keys.TRAJECTORY] = record.model_dump(mode="json")


def build_trajectory_record(row: Mapping[str, Any], result: Mapping[str, Any]) -> TrajectoryRecord:
    """The trajectory of a result: its own `ng_trajectory`, joined with its observations and captured calls.

    Raises:
        ValidationError: one of these has the wrong form.
    """
    task_id, rollout_id = trajectory_task_id(row), rollout_id_of(row) or ""
    reported = result.get(keys.TRAJECTORY) or empty_trajectory(task_id, rollout_id)
    record = TrajectoryRecord.model_validate(reported)
    record.task_id, record.rollout_id = task_id, rollout_id
    for turn in record.turns:
        turn.task_id, turn.rollout_id = task_id, rollout_id
    capture = object_of(result.get(keys.MODEL_CALL_CAPTURE))
    calls = [
        ModelCallRecord.model_validate({"call_index": place, **call})
        for place, call in enumerate(objects_of(capture.get("calls")))
    ]
    if report := result.get(keys.AGENT_OBSERVATIONS):
        bundle = join_model_call_observations(AgentObservationBundle.model_validate(report), calls)
        _add_observations(record, bundle)
    record.model_calls = _model_calls(record.model_calls, calls)
    record.gaps += [ObservationGap.model_validate(gap) for gap in objects_of(capture.get("gaps"))]
    if not record.model_calls:
        record.gaps.append(ObservationGap(code="model_calls_unavailable"))
    if not record.invocations:
        record.gaps.append(ObservationGap(code="agent_invocations_unavailable"))
    record.gaps = each_once(record.gaps)
    return TrajectoryRecord.model_validate(record.model_dump())


def merge_model_call_capture_into_record(
    record: dict[str, Any], capture_dirs: Sequence[Path], *, include_payloads: bool = False
) -> dict[str, Any]:
    """Add a rollout's captured calls to its row, as `ng_model_call_capture`, and complete the references to
    model calls in the agent's report.

    Args:
        record: the row, which is changed; a row without an identity stays as it is.
        capture_dirs: folders that model servers write to.
        include_payloads: keep each call's request and response.
    """
    rollout_id = rollout_id_of(record)
    if rollout_id is None or not capture_dirs:
        return record
    stores = [CaptureStore(folder) for folder in capture_dirs]
    calls = [call for store in stores for call in store.read(rollout_id)]
    records = [build_model_call_record(call, place) for place, call in enumerate(calls)]
    hidden: set[str] = set() if include_payloads else {*_PAYLOADS}
    capture: dict[str, Any] = {
        "rollout_id": rollout_id,
        "metrics": aggregate_model_call_records(records),
        "calls": [each.model_dump(mode="json", exclude=hidden) for each in records],
    }
    incomplete = any(store.is_incomplete(rollout_id) for store in stores)
    gaps: list[Any] = list(capture_gaps(len(records), incomplete=incomplete))
    gaps += _join_reported(record, records)
    if gaps:
        capture["gaps"] = gaps
    record[keys.MODEL_CALL_CAPTURE] = capture
    return record


def _join_reported(record: dict[str, Any], calls: Sequence[ModelCallRecord]) -> list[dict[str, Any]]:
    """Join a row's observations with captured calls; a gap for observations that can't be read."""
    report = record.get(keys.AGENT_OBSERVATIONS)
    if report is None:
        return []
    try:
        bundle = AgentObservationBundle.model_validate(report)
    except ValidationError as error:
        log.warning("an agent's report can't be joined with its model calls: %s", error)
        return [{"code": "agent_observation_join_failed"}]
    bundle = _with_own_compactions(bundle, calls)
    record[keys.AGENT_OBSERVATIONS] = join_model_call_observations(bundle, calls).model_dump(mode="json")
    return []


def _with_own_compactions(
    bundle: AgentObservationBundle, calls: Sequence[ModelCallRecord]
) -> AgentObservationBundle:
    """The bundle with the calls of each compaction, where the reporting agent has a function that finds them;
    a gap where that function fails."""
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
"""Functions of existing agents that find the model calls of a compaction, by the `source` of the report."""


log: Final = logging.getLogger(__name__)


def _add_observations(record: TrajectoryRecord, bundle: AgentObservationBundle) -> None:
    """Add to the record the parts of the bundle that it lacks."""
    invocations = {each.invocation_id for each in record.invocations}
    record.invocations += [
        each for each in of_kind(bundle.records, AgentInvocation) if each.invocation_id not in invocations
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
    """The reported calls, each merged with its captured call, and after them the other captured calls."""
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
    first, second = trajectory_call(call.model_dump()), reported.model_dump()
    nested = {name: _first_known(first[name], second[name]) for name in ("response_metadata", "token_stats")}
    fields = {**_first_known(first, second), **nested, "model_call_id": reported.model_call_id}
    return TrajectoryModelCall.model_validate(fields)


def _first_known(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {name: second.get(name) if value is None else value for name, value in first.items()}
