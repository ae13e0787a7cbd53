"""Turns captured model calls into records, in one form for all dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from nemo_gym.wire.json_values import object_of, objects_of
from nemo_gym.wire.jsonl import decode

ASKED_CALLS: Final = "asked_calls"
"""Part of the capture: the calls of the models that the environment asks, each with its `asked_as`."""


def call_record(call: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The `ModelCallRecord` of one line of a capture file. None means unknown."""
    response = object_of(call.get("response"))
    answer = object_of(call.get("answer")) or response
    model_ref = call.get("model_ref") or None
    if isinstance(model_ref, str):
        model_ref = {"type": "responses_api_models", "name": model_ref}
    usage = _usage(answer)
    cached = usage["cached_tokens"]
    return {
        "model_call_id": call.get("model_call_id"),
        "response_id": _text(response.get("id")) or _text(answer.get("id")),
        "call_index": place,
        "model_ref": model_ref,
        "model": _text(answer.get("model")),
        "dialect": call.get("dialect"),
        "status_code": call.get("status_code"),
        "response_status": _text(answer.get("status")),
        "finish_reason": _finish_reason(response) or _finish_reason(answer),
        "started_at": call.get("started_at"),
        "completed_at": call.get("completed_at"),
        **usage,
        "request": call.get("request"),
        "response": call.get("response"),
        "request_raw": call.get("request_raw"),
        "response_raw": call.get("response_raw"),
        "tool_calls": [_tool_call(*call) for call in _tool_calls(answer)],
        "reasoning_content": "".join(_reasoning(answer)) or None,
        "cache_hit": None if cached is None else cached > 0,
        "error_category": call.get("error_category"),
        "latency_total_ms": call.get("latency_ms"),
        "latency_ttft_ms": call.get("latency_ttft_ms"),
    }


def call_metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over records. A sum is None when no call reported the count."""
    sums: dict[str, Any] = {}
    for name in _SUMMED:
        counts = [record[name] for record in records if record[name] is not None]
        sums[name] = sum(counts) if counts else None
    return {**sums, "num_calls": len(records)}


def capture_column(
    rollout_id: str, calls: Sequence[Mapping[str, Any]], *, incomplete: bool
) -> dict[str, Any]:
    """The value of `ng_model_call_capture`.

    Args:
        calls: the lines of the capture file of the rollout.
        incomplete: whether a call is known to be missing.
    """
    own = [call for call in calls if not call.get("asked_as")]
    records = [call_record(call, place) for place, call in enumerate(own)]
    return {
        "rollout_id": rollout_id,
        "metrics": call_metrics(records),
        "calls": records,
        "gaps": capture_gaps(len(records), incomplete=incomplete),
        **asked_calls(calls),
    }


def asked_calls(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The part of the capture about the models that the environment asks; empty without such calls."""
    matches = [call for call in calls if call.get("asked_as")]
    records = [
        {"asked_as": call["asked_as"], **call_record(call, place)} for place, call in enumerate(matches)
    ]
    return {ASKED_CALLS: records} if records else {}


def capture_gaps(calls: int, *, incomplete: bool) -> list[dict[str, Any]]:
    """Gap codes for calls that were expected but not captured."""
    gaps: list[dict[str, Any]] = []
    if incomplete:
        gaps.append({"code": "model_call_capture_incomplete", "detail": "a model call is missing"})
    if not calls:
        gaps.append({"code": "model_call_capture_no_records", "detail": "no model call was recorded"})
    return gaps


_SUMMED: Final = (
    "tokens_in", "tokens_out", "tokens_reasoning", "tokens_total", "cached_tokens", "latency_total_ms",
)  # fmt: skip


def _usage(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts. Anthropic leaves cached tokens out of the input tokens; here they are part of them."""
    usage = object_of(answer.get("usage"))
    if "prompt_tokens" in usage:
        tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        input_details, output_details = "prompt_tokens_details", "completion_tokens_details"
    else:
        tokens_in, tokens_out = _count(usage, "input_tokens"), _count(usage, "output_tokens")
        input_details, output_details = "input_tokens_details", "output_tokens_details"
    cache_writes = _count(usage, "cache_creation_input_tokens")
    cache_reads = _count(usage, "cache_read_input_tokens")
    if tokens_in is not None:
        tokens_in += (cache_writes or 0) + (cache_reads or 0)
    total = _count(usage, "total_tokens")
    if total is None and tokens_in is not None and tokens_out is not None:
        total = tokens_in + tokens_out
    cached = _count(object_of(usage.get(input_details)), "cached_tokens")
    return {
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "tokens_reasoning": _count(object_of(usage.get(output_details)), "reasoning_tokens"),
        "tokens_total": total,
        "cached_tokens": cached if cache_reads is None else cache_reads,
        "cache_creation_tokens": cache_writes,
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
    """Id, name and arguments of each tool call, in any dialect."""
    triples: list[tuple[Any, Any, Any]] = []
    for item in _parts(answer):
        match item:
            case {"type": "function_call", "name": name, "arguments": arguments}:
                triples.append((item.get("call_id"), name, arguments))
            case {"type": "tool_use", "name": name, "input": arguments}:
                triples.append((item.get("id"), name, arguments))
            case {"tool_calls": [*calls]}:
                for call in objects_of(calls):
                    function = object_of(call.get("function"))
                    triples.append((call.get("id"), function.get("name"), function.get("arguments")))
            case _:
                pass
    return triples


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
        with suppress(msgspec.DecodeError):  # text that is no JSON stays as it is
            arguments = decode(arguments.encode("utf-8", "replace"))
    return {"call_id": call_id, "name": name, "arguments": arguments}


def _count(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
