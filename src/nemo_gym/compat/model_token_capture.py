"""The tokens of an existing model server's calls, kept for training."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any, Final, cast

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.capture.recorder import Recorder
from nemo_gym.capture.settings import token_settings
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
    """ASGI middleware: keeps the tokens in the answers of a server's own routes, for calls of a rollout that
    are to be captured, before the last byte of the answer leaves."""

    def __init__(self, app: ASGIApp, *, recorder: Recorder, of_all: bool, name: str) -> None:
        self._app = app
        self._recorder = recorder
        self._of_all = of_all
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        dialect = _DIALECTS.get(scope.get("path", ""))
        tag = current_tag()
        if dialect is None or tag is None or not (tag.token_capture or self._of_all):
            await self._app(scope, receive, send)
            return
        exchange, context = Exchange(), CaptureContext(tag.rollout_id, new_call_id())

        async def keep() -> None:
            if exchange.status != 200:
                return
            params, output = _in_one_language(dialect, exchange)
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
            await exchange.watch(self._app, scope, receive, send, keep)


def token_capture(settings: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The arguments of `TokenCapture` for a model server; None when the configuration doesn't ask for it.

    Args:
        settings: the configuration.
        name: the model server's.

    Raises:
        UsageError: the block `token_id_capture` is wrong, or its store can't be made.
    """
    tokens = token_settings(settings)
    if tokens is None:
        return None
    return {"recorder": TokenRecorder(tokens.store()), "of_all": tokens.all_agents, "name": name}


_DIALECTS: Final[dict[str, Dialect]] = {"/v1/responses": "responses", "/v1/chat/completions": "chat"}


def _in_one_language(dialect: Dialect, exchange: Exchange) -> tuple[RequestParams, dict[str, Any]]:
    """Request and answer in the one language; an answer that can't be read has no items, and so no tokens."""
    try:
        body, answer = object_of(decode(exchange.request)), object_of(decode(exchange.answer))
        if dialect == "responses":
            return cast("RequestParams", {"input": [], **body}), {"output": [], **answer}
        return params_from_chat(body), chat_response(answer).data
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError, ValueError, RecursionError):
        return {"input": []}, {"output": []}
