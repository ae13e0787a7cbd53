"""Adds the other API dialects and streams to an existing model server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.compat.handlers import object_in
from nemo_gym.models.base import Model
from nemo_gym.serving.in_process import exchange
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelError, ModelRejected
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.validation import json_object, read_response


class OtherDialects:
    """ASGI middleware: answers Anthropic Messages and requests for a stream with the help of `/v1/responses`.
    All other requests go to the server's own routes."""

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self.app = app
        self._other = model_app(RouteModel(app, name), name=name, options=AppOptions())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if scope["type"] != "http" or scope["method"] != "POST" or path not in _DIALECTS:
            await self.app(scope, receive, send)
            return
        first = await receive()
        body: bytes = first.get("body", b"")
        while first.get("more_body"):
            first = await receive()
            body += first.get("body", b"")
        messages: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(messages, None) or await receive()

        is_other = path == _MESSAGES or _wants_stream(body)
        await (self._other if is_other else self.app)(scope, replay, send)


class RouteModel(Model):
    """A model at the `/v1/responses` of an app of this process."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.name = name
        self._app = app

    async def responses(self, params: RequestParams) -> Response:
        reply = await exchange(self._app, "/v1/responses", encode(params))
        if reply.status != 200:
            kind = ModelRejected if 400 <= reply.status < 500 else ModelError
            raise kind(reply.text[:2000], http_status=reply.status, body=reply.text)
        try:
            return read_response(json_object(reply.content))
        except ValueError as error:
            raise ModelError(f"/v1/responses of {self.name}: {error}") from None


_MESSAGES: Final = "/v1/messages"
_DIALECTS: Final = frozenset({_MESSAGES, "/v1/responses", "/v1/chat/completions"})


def _wants_stream(body: bytes) -> bool:
    return b'"stream"' in body and (object_in(body) or {}).get("stream") is True
