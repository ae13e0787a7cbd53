"""Captures the calls to an existing model server whose path names a rollout."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.compat.captured_exchange import Exchange
from nemo_gym.compat.config_types import ConfigError
from nemo_gym.compat.handlers import object_in
from nemo_gym.compat.model_call_records import CaptureStore
from nemo_gym.compat.stream_reassembly import reassemble
from nemo_gym.serving.rollout_prefix import RolloutPrefix, rollout_tag
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.model_call import Dialect, ErrorCategory, error_category, new_call_id


def capture_store(settings: Mapping[str, Any]) -> CaptureStore | None:
    """The store of a configuration; None when it captures no calls, or the folder can't be created.

    Raises:
        ConfigError: the folder is not an absolute path.
    """
    if not settings.get("observability_enabled"):
        return None
    folder = Path(settings.get("model_call_capture_dir") or "")
    if not folder.is_absolute():
        raise ConfigError(
            f"model_call_capture_dir: expected an absolute path with observability_enabled, got '{folder}'"
        )
    try:
        return CaptureStore(folder)
    except OSError as error:
        log.error("model calls can't be captured in %s: %s", folder, error)
        return None


class CaptureMiddleware:
    """ASGI middleware: stores each call of a rollout to a model route and passes it on unchanged. The call is
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
        exchange, is_stored = Exchange(), False

        async def store(category: ErrorCategory | None = None) -> None:
            nonlocal is_stored
            is_stored = True
            line = self._line(exchange, dialect, category)
            try:
                await run_in_threadpool(self._store.record, tag.rollout_id, line)
            except (OSError, TypeError, UsageError) as error:
                log.error("a model call of rollout %s could not be captured: %s", tag.rollout_id, error)

        try:
            await exchange.watch(self._app, scope[_WHOLE], receive, send, store)
        except BaseException as error:
            if not is_stored:
                await store(_category(error))
            raise

    def _line(self, exchange: Exchange, dialect: Dialect, category: ErrorCategory | None) -> dict[str, Any]:
        """The line of a capture file."""
        category = category or error_category(exchange.status)
        if exchange.is_stream:
            response, is_whole = reassemble(bytes(exchange.answer), dialect)
            category = category or (None if is_whole else "stream_truncated")
        else:
            response = object_in(exchange.answer)
        if response is None and category is None:
            category = "capture_parse_error"
        request = object_in(exchange.request)
        line: dict[str, Any] = {
            "model_call_id": new_call_id(),
            "dialect": dialect,
            "model_ref": self._model_ref,
            "started_at": exchange.started_at,
            "completed_at": time(),
            "latency_ms": exchange.latency_ms,
            "latency_ttft_ms": exchange.latency_ttft_ms,
            "status_code": exchange.status,
            "error_category": category,
            "request": request,
            "response": response,
        }
        if request is None:
            line["request_raw"] = exchange.request.decode("utf-8", "replace")
        if response is None:
            line["response_raw"] = exchange.answer.decode("utf-8", "replace")
        return line


log: Final = logging.getLogger(__name__)

_DIALECTS: Final[dict[str, Dialect]] = {
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
}
_WHOLE: Final = "nemo_gym.whole_scope"
"""The key of the scope whose path has the prefix. That scope is passed on."""


def _category(error: BaseException) -> ErrorCategory:
    kind = type(error).__name__.lower()
    if isinstance(error, TimeoutError) or "timeout" in kind:
        return "timeout"
    return "connection" if isinstance(error, ConnectionError) or "conn" in kind else "exception"
