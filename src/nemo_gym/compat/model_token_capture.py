"""Captures the tokens of calls to an existing model server, for training."""

from __future__ import annotations

from time import time
from typing import Any, Final, cast

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.capture.settings import TokenSettings
from nemo_gym.capture.tokens import TokenRecorder
from nemo_gym.compat.captured_exchange import Exchange
from nemo_gym.compat.rollout_correlation import current_tag
from nemo_gym.compat.token_id_capture import CaptureContext, capture_context
from nemo_gym.wire.chat import chat_response, params_from_chat
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.model_call import Dialect, ModelCall, new_call_id
from nemo_gym.wire.params import RequestParams


class TokenCapture:
    """ASGI middleware: stores the tokens of a rollout's calls before the last byte of the answer leaves.

    Args:
        settings: the block `token_id_capture`.
        name: of the model server.

    Raises:
        UsageError: the store can't be built.
    """

    def __init__(self, app: ASGIApp, *, settings: TokenSettings, name: str) -> None:
        self._app = app
        self._recorder = TokenRecorder(settings.store())
        self._all_agents = settings.all_agents
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = _DIALECTS.get(scope.get("path", ""))
        tag = current_tag()
        if dialect is None or tag is None or not (tag.token_capture or self._all_agents):
            await self._app(scope, receive, send)
            return
        exchange, context = Exchange(), CaptureContext(tag.rollout_id, new_call_id())

        async def store() -> None:
            if exchange.status != 200:
                return
            params, output = _in_responses_form(dialect, exchange)
            await self._recorder.record(
                ModelCall(
                    rollout_id=context.rollout_id,
                    model_call_id=context.model_call_id,
                    dialect=dialect,
                    model_ref=self._name,
                    started_at=exchange.started_at,
                    completed_at=time(),
                    latency_ms=exchange.latency_ms,
                    status_code=exchange.status,
                    request=cast("dict[str, Any]", params),
                    answer=output,
                )
            )

        with capture_context(context):
            await exchange.watch(self._app, scope, receive, send, store)


_DIALECTS: Final[dict[str, Dialect]] = {"/v1/responses": "responses", "/v1/chat/completions": "chat"}


def _in_responses_form(dialect: Dialect, exchange: Exchange) -> tuple[RequestParams, dict[str, Any]]:
    """Request and answer in Responses form. An answer that can't be read has no items, and so no tokens."""
    try:
        body, answer = object_of(decode(exchange.request)), object_of(decode(exchange.answer))
        if dialect == "responses":
            return cast("RequestParams", {"input": [], **body}), {"output": [], **answer}
        return params_from_chat(body), chat_response(answer).data
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError, ValueError, RecursionError):
        return {"input": []}, {"output": []}
