"""Capture of every call to a model server whose path names a rollout."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, time
from typing import Any, Final, cast

import msgspec
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.compat.model_call_records import CaptureStore
from nemo_gym.compat.stream_reassembly import reassembled
from nemo_gym.serving.rollout_prefix import RolloutPrefix, rollout_tag
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.model_call import Dialect, ErrorCategory, error_category, new_call_id


class ModelCallCaptureConfig(BaseModel):
    """Whether and where model calls are captured."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    observability_enabled: bool = False
    model_call_capture_dir: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> ModelCallCaptureConfig:
        if self.observability_enabled:
            if self.model_call_capture_dir is None:
                raise ValueError("model_call_capture_dir is required with observability_enabled")
            if not self.model_call_capture_dir.is_absolute():
                raise ValueError("model_call_capture_dir must be an absolute path")
        return self


def make_capture_store(config: ModelCallCaptureConfig) -> CaptureStore | None:
    """The store of a configuration; None when nothing is captured, or its folder can't be made."""
    if not config.observability_enabled or config.model_call_capture_dir is None:
        return None
    try:
        return CaptureStore(config.model_call_capture_dir)
    except OSError as error:
        log.error("model calls can't be captured in %s: %s", config.model_call_capture_dir, error)
        return None


class CaptureMiddleware:
    """ASGI middleware: notes each call of a rollout to a model route and passes it on unchanged. The call is
    on disk before the last byte of its answer leaves."""

    def __init__(self, app: ASGIApp, *, store: CaptureStore, model_server_name: str) -> None:
        self._app = app
        self._store = store
        self._model_ref = {"type": "responses_api_models", "name": model_server_name}
        self._tagged = RolloutPrefix(self._call)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            tagged_scope: Scope = {**scope, _WHOLE: scope}
            await self._tagged(tagged_scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        tag, dialect = rollout_tag(scope), _DIALECTS.get(scope["path"])
        if tag is None or dialect is None:
            await self._app(scope[_WHOLE], receive, send)
            return
        exchange = _Exchange(dialect, self._model_ref)

        async def heard() -> Message:
            message = await receive()
            exchange.request += message.get("body", b"")
            return message

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.start(message)
            elif message["type"] == "http.response.body":
                exchange.body(message)
                if not message.get("more_body"):
                    await self._keep(tag.rollout_id, exchange)
            await send(message)

        try:
            await self._app(scope[_WHOLE], heard, said)
        except BaseException as error:
            if not exchange.kept:
                exchange.category = _category(error)
                await self._keep(tag.rollout_id, exchange)
            raise

    async def _keep(self, rollout_id: str, exchange: _Exchange) -> None:
        exchange.kept = True
        try:
            await run_in_threadpool(self._store.record, rollout_id, exchange.line())
        except (OSError, TypeError, UsageError) as error:
            log.error("a model call of rollout %s could not be captured: %s", rollout_id, error)


class _Exchange:
    """One call while it is under way."""

    def __init__(self, dialect: Dialect, model_ref: Mapping[str, str]) -> None:
        self.request = b""
        self.kept = False
        self.category: ErrorCategory | None = None
        self._dialect: Dialect = dialect
        self._model_ref = model_ref
        self._started_at, self._started = time(), monotonic()
        self._first: float | None = None
        self._status = 500
        self._streamed = False
        self._answer = bytearray()

    def start(self, message: Message) -> None:
        self._status = message["status"]
        kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
        self._streamed = any(kind.startswith(b"text/event-stream") for kind in kinds)

    def body(self, message: Message) -> None:
        if self._first is None and message.get("body"):
            self._first = monotonic()
        self._answer += message.get("body", b"")

    def line(self) -> dict[str, Any]:
        """The line of a capture file."""
        response: dict[str, Any] | None
        category = self.category or error_category(self._status)
        if self._streamed:
            response, whole = reassembled(bytes(self._answer), self._dialect)
            category = category or (None if whole else "stream_truncated")
        else:
            response = _json_object(self._answer)
        if response is None and category is None:
            category = "capture_parse_error"
        request = _json_object(self.request)
        line: dict[str, Any] = {
            "model_call_id": new_call_id(),
            "dialect": self._dialect,
            "model_ref": self._model_ref,
            "started_at": self._started_at,
            "completed_at": time(),
            "latency_ms": (monotonic() - self._started) * 1000,
            "latency_ttft_ms": None if self._first is None else (self._first - self._started) * 1000,
            "status_code": self._status,
            "error_category": category,
            "request": request,
            "response": response,
        }
        if request is None:
            line["request_raw"] = self.request.decode("utf-8", "replace")
        if response is None:
            line["response_raw"] = self._answer.decode("utf-8", "replace")
        return line


log: Final = logging.getLogger(__name__)

_DIALECTS: Final[dict[str, Dialect]] = {
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
}
_WHOLE: Final = "nemo_gym.whole_scope"
"""The scope with its prefix, which is what is passed on."""


def _category(error: BaseException) -> ErrorCategory:
    kind = type(error).__name__.lower()
    if isinstance(error, TimeoutError) or "timeout" in kind:
        return "timeout"
    return "connection" if isinstance(error, ConnectionError) or "conn" in kind else "exception"


def _json_object(data: bytes | bytearray) -> dict[str, Any] | None:
    try:
        value = decode(bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
