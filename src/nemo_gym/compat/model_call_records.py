"""Captured model calls as records, in one form for all dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nemo_gym.capture.capture_files import CaptureFiles
from nemo_gym.capture.capture_records import call_metrics, call_record
from nemo_gym.compat.config_types import ModelServerRef
from nemo_gym.wire.jsonl import encode


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
    """The text of a request or response that is not a JSON object."""
    response_raw: str | None = None
    tool_calls: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    reasoning_content: str | None = None
    cache_hit: bool | None = None
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    error_category: str | None = None
    latency_total_ms: float | None = None
    latency_ttft_ms: float | None = None


class CaptureStore(CaptureFiles):
    """Captured calls in files, one for each rollout, in the format of this package's model servers.

    Raises:
        OSError: the folder can't be created.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        super().__init__(self.root)

    def record(self, rollout_id: str, exchange: Mapping[str, Any]) -> None:
        """Write a call to disk. A call that can't be written marks the rollout as incomplete.

        Raises:
            OSError: the file can't be written.
            TypeError: the call is not JSON.
        """
        try:
            self.append(rollout_id, encode(exchange))
        except (OSError, TypeError):
            self.mark_incomplete(rollout_id)
            raise

    def read(self, rollout_id: str) -> list[dict[str, Any]]:
        """The calls of a rollout in their order. An invalid line marks the rollout as incomplete."""
        calls, is_whole = self.lines(rollout_id)
        if not is_whole:
            self.mark_incomplete(rollout_id)
        return calls


def read_model_call_records(store: CaptureStore, rollout_id: str) -> list[ModelCallRecord]:
    """The records of a rollout's captured calls, in their order."""
    return [build_model_call_record(call, place) for place, call in enumerate(store.read(rollout_id))]


def aggregate_model_call_metrics(store: CaptureStore, rollout_id: str) -> dict[str, Any]:
    """Sums over a rollout's captured calls. A count that no call reports is None."""
    return aggregate_model_call_records(read_model_call_records(store, rollout_id))


def aggregate_model_call_records(calls: Sequence[ModelCallRecord]) -> dict[str, Any]:
    """Sums over calls. A count that no call reports is None."""
    return call_metrics([call.model_dump() for call in calls])


def build_model_call_record(exchange: Mapping[str, Any], call_index: int) -> ModelCallRecord:
    """The record of one line of a capture file."""
    return ModelCallRecord.model_validate(call_record(exchange, call_index))
