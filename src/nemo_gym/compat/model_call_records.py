"""Captured model calls as records, whatever dialect they were made in (CONTRACT 5.8, Appendix B)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from nemo_gym.compat.config_types import ModelServerRef
from nemo_gym.compat.loose import object_of, objects_of
from nemo_gym.compat.rollout_correlation import rollout_id_of
from nemo_gym.serving.capture import append_line
from nemo_gym.wire.calls import check_rollout_id
from nemo_gym.wire.jsonl import decode, encode

CAPTURE_KEY: Final = "ng_model_call_capture"
_PAYLOADS: Final[tuple[str, ...]] = ("request", "response", "request_raw", "response_raw")


class ModelCallRecord(BaseModel):
    """One model call. None is unknown."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_call_id: str | None = None
    response_id: str | None = None
    call_index: int
    model_ref: ModelServerRef | None = None
    model: str | None = None
    dialect: str | None = None
    status_code: int | None = None
    response_status: str | None = None
    finish_reason: str | None = None
    started_at: float | None = None
    """Unix time, seconds; `completed_at` too."""
    completed_at: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_reasoning: int | None = None
    tokens_total: int | None = None
    request: Any = None
    response: Any = None
    request_raw: str | None = None
    """What was no JSON."""
    response_raw: str | None = None
    tool_calls: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    reasoning_content: str | None = None
    cache_hit: bool | None = None
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    error_category: str | None = None
    latency_total_ms: float | None = None
    latency_ttft_ms: float | None = None


class CaptureStore:
    """Captured calls in files, one a rollout; several processes may write. Model servers of this package
    (`serving.capture.FileCapture`) write the same files.

    Raises:
        OSError: the folder can't be made.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)

    def path_for(self, rollout_id: str) -> Path:
        """The file of a rollout.

        Raises:
            UsageError: the id can't be part of a path.
        """
        return self.root / f"{check_rollout_id(rollout_id)}.capture.jsonl"

    def incomplete_path_for(self, rollout_id: str) -> Path:
        """The file that marks a rollout of which a call is missing."""
        return self.root / f"{check_rollout_id(rollout_id)}.capture.incomplete"

    def record(self, rollout_id: str, exchange: Mapping[str, Any]) -> None:
        """Keep a call, on disk when this returns. What can't be written marks the rollout incomplete.

        Raises:
            OSError: it can't be written.
        """
        try:
            append_line(self.path_for(rollout_id), encode(exchange))
        except (OSError, TypeError):
            self.mark_incomplete(rollout_id)
            raise

    def mark_incomplete(self, rollout_id: str) -> None:
        """Note that a call of a rollout is missing."""
        self.incomplete_path_for(rollout_id).touch()

    def is_incomplete(self, rollout_id: str) -> bool:
        """Whether a call of a rollout is known to be missing."""
        return self.incomplete_path_for(rollout_id).exists()

    def read(self, rollout_id: str) -> list[dict[str, Any]]:
        """The calls of a rollout in the order in which they were recorded; a line that is none marks it
        incomplete."""
        try:
            content = self.path_for(rollout_id).read_bytes()
        except FileNotFoundError:
            return []
        calls: list[dict[str, Any]] = []
        for line in content.splitlines():
            try:
                call = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                call = None
            if isinstance(call, dict):
                calls.append(cast("dict[str, Any]", call))
            else:
                self.mark_incomplete(rollout_id)
        return calls


def read_model_call_records(store: CaptureStore, rollout_id: str) -> list[ModelCallRecord]:
    """The records of a rollout's captured calls, in their order."""
    return [build_model_call_record(call, place) for place, call in enumerate(store.read(rollout_id))]


def aggregate_model_call_metrics(store: CaptureStore, rollout_id: str) -> dict[str, Any]:
    """Sums over a rollout's captured calls; a count that no call reported is None."""
    return aggregate_model_call_records(read_model_call_records(store, rollout_id))


def aggregate_model_call_records(calls: Sequence[ModelCallRecord]) -> dict[str, Any]:
    """Sums over calls; a count that no call reported is None."""
    sums: dict[str, Any] = {}
    for name in _SUMMED:
        known = [value for call in calls if (value := getattr(call, name)) is not None]
        sums[name] = sum(known) if known else None
    return {**sums, "num_calls": len(calls)}


def merge_model_call_capture_into_record(
    record: dict[str, Any], capture_dirs: Sequence[Path], *, include_payloads: bool = False
) -> dict[str, Any]:
    """Attach what was captured of a rollout to its row, as `ng_model_call_capture`.

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
    gaps: list[dict[str, Any]] = []
    if any(store.is_incomplete(rollout_id) for store in stores):
        gaps.append({"code": "model_call_capture_incomplete"})
    if not records:
        gaps.append({"code": "model_call_capture_no_records"})
    if gaps:
        capture["gaps"] = gaps
    record[CAPTURE_KEY] = capture
    return record


def build_model_call_record(exchange: Mapping[str, Any], call_index: int) -> ModelCallRecord:
    """The record of one line of a capture file."""
    response = exchange.get("response")
    answer = object_of(response)
    dialect = exchange.get("dialect")
    model_ref = exchange.get("model_ref") or None
    if isinstance(model_ref, str):
        model_ref = {"type": "responses_api_models", "name": model_ref}
    usage = _usage(answer)
    return ModelCallRecord(
        model_call_id=exchange.get("model_call_id"),
        response_id=_text(answer.get("id")),
        call_index=call_index,
        model_ref=None if model_ref is None else ModelServerRef.model_validate(model_ref),
        model=_text(answer.get("model")),
        dialect=dialect,
        status_code=exchange.get("status_code"),
        response_status=_text(answer.get("status")),
        finish_reason=_finish_reason(answer),
        started_at=exchange.get("started_at"),
        completed_at=exchange.get("completed_at"),
        request=exchange.get("request"),
        response=response,
        request_raw=exchange.get("request_raw"),
        response_raw=exchange.get("response_raw"),
        tool_calls=[_tool_call(*call) for call in _tool_calls(answer)],
        reasoning_content="".join(_reasoning(answer)) or None,
        cache_hit=None if usage["cached_tokens"] is None else usage["cached_tokens"] > 0,
        error_category=exchange.get("error_category"),
        latency_total_ms=exchange.get("latency_ms"),
        latency_ttft_ms=exchange.get("latency_ttft_ms"),
        **usage,
    )


_SUMMED: Final = (
    "tokens_in", "tokens_out", "tokens_reasoning", "tokens_total", "cached_tokens", "latency_total_ms",
)  # fmt: skip


def _usage(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic counts what a cache gave apart from the input; here it belongs to it."""
    usage = object_of(answer.get("usage"))
    if "prompt_tokens" in usage:
        came, went = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        coming, going = "prompt_tokens_details", "completion_tokens_details"
    else:
        came, went = _count(usage, "input_tokens"), _count(usage, "output_tokens")
        coming, going = "input_tokens_details", "output_tokens_details"
    created = _count(usage, "cache_creation_input_tokens")
    read = _count(usage, "cache_read_input_tokens")
    if came is not None:
        came += (created or 0) + (read or 0)
    total = _count(usage, "total_tokens")
    return {
        "tokens_in": came,
        "tokens_out": went,
        "tokens_reasoning": _count(object_of(usage.get(going)), "reasoning_tokens"),
        "tokens_total": came + went if total is None and came is not None and went is not None else total,
        "cached_tokens": _count(object_of(usage.get(coming)), "cached_tokens") if read is None else read,
        "cache_creation_tokens": created,
    }


def _finish_reason(answer: Mapping[str, Any]) -> str | None:
    match answer:
        case (
            {"stop_reason": str(reason)}
            | {"choices": [{"finish_reason": str(reason)}, *_]}
            | {"incomplete_details": {"reason": str(reason)}}
        ):
            return reason
        case _:
            return None


def _tool_calls(answer: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    """(id, name, arguments) of each call, in any dialect."""
    found: list[tuple[Any, Any, Any]] = []
    for item in _parts(answer):
        match item:
            case {"type": "function_call", "name": name, "arguments": arguments}:
                found.append((item.get("call_id"), name, arguments))
            case {"type": "tool_use", "name": name, "input": arguments}:
                found.append((item.get("id"), name, arguments))
            case {"tool_calls": [*calls]}:
                for call in objects_of(calls):
                    function = object_of(call.get("function"))
                    found.append((call.get("id"), function.get("name"), function.get("arguments")))
            case _:
                pass
    return found


def _reasoning(answer: Mapping[str, Any]) -> list[str]:
    texts: list[str] = []
    for item in _parts(answer):
        match item:
            case {"type": "thinking", "thinking": str(text)} | {"reasoning_content": str(text)}:
                texts.append(text)
            case {"type": "reasoning"}:
                parts = [*objects_of(item.get("summary")), *objects_of(item.get("content"))]
                texts += [part["text"] for part in parts if isinstance(part.get("text"), str)]
            case _:
                pass
    return texts


def _parts(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Output items, content blocks, or the first choice's message."""
    message = [object_of(choice.get("message")) for choice in objects_of(answer.get("choices"))[:1]]
    return [*objects_of(answer.get("output")), *objects_of(answer.get("content")), *message]


def _tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, str):
        with suppress(msgspec.DecodeError):  # then the model's own text is what there is
            arguments = decode(arguments.encode("utf-8", "replace"))
    return {"call_id": call_id, "name": name, "arguments": arguments}


def _count(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
