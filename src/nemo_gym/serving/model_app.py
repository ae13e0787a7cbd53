"""A model as a server that speaks all three dialects (CONTRACT 2.5)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import time
from typing import Any, Final
from uuid import uuid4

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse

from nemo_gym.models.base import Model
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app, server_label
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.call_record import CallRecord
from nemo_gym.serving.dialects import (
    Asked,
    ChatDialect,
    Dialect,
    MessagesDialect,
    ResponsesDialect,
    openai_error,
)
from nemo_gym.serving.disconnects import unless_gone
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.model_errors import ModelFailure, model_failure
from nemo_gym.serving.openapi import Handler, described
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.prefix import rollout_tag
from nemo_gym.serving.schemas import CHAT, MESSAGES, PARAMS, RESPONSE
from nemo_gym.serving.sessions import session_id
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.response import Response
from nemo_gym.wire.served import served
from nemo_gym.wire.streams import failed_response_events


def model_app(model: Model, *, name: str, options: AppOptions) -> Starlette:
    """The server of `model`: `/v1/responses`, `/v1/chat/completions`, `/v1/messages` and `/v1/models`.

    Args:
        name: the server instance's name, for the cookie, errors and recorded calls.
        options: its `capture` is told of every call whose path names a rollout.
    """
    server = _ModelServer(model, name, options)
    doors: list[tuple[str, Dialect, dict[str, Any], dict[str, Any]]] = [
        ("/v1/responses", ResponsesDialect(), PARAMS, RESPONSE),
        ("/v1/chat/completions", ChatDialect(), CHAT, _OBJECT),
        ("/v1/messages", MessagesDialect(), MESSAGES, _OBJECT),
    ]
    routes = [
        *(
            described(
                path,
                server.door(dialect),
                summary=dialect.__doc__ or "",
                body=body,
                answer=answer,
                errors=_ERRORS,
            )
            for path, dialect, body, answer in doors
        ),
        described("/v1/models", server.list_models, method="GET", summary="The model.", answer=_OBJECT),
        described("/v1/models/{id:path}", server.get_model, method="GET", operations={}),
    ]
    about = {"kind": "model", "name": model.name}
    return base_app(server_label(model, name), routes, options, about=about)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A model's answer, as it is and in the client's dialect."""

    response: Response
    content: dict[str, Any]


class _ModelServer:
    """The handlers of one model's routes."""

    def __init__(self, model: Model, name: str, options: AppOptions) -> None:
        self._model = model
        self._name = name
        self._options = options

    def door(self, dialect: Dialect) -> Handler:
        """The handler that answers in `dialect`."""

        async def answer(request: Request) -> HttpResponse:
            return await self._answer(request, dialect)

        return answer

    async def list_models(self, _: Request) -> JsonResponse:
        entry = self._entry()
        ends = {"first_id": entry["id"], "last_id": entry["id"], "has_more": False}
        return JsonResponse({"object": "list", "data": [entry], **ends})

    async def get_model(self, request: Request) -> JsonResponse:
        entry, asked = self._entry(), request.path_params["id"]
        if asked != entry["id"]:
            message = f"there is no model {asked[:200]!r} here, only {entry['id']!r}"
            return JsonResponse({"type": "error", **openai_error(404, message)}, 404)
        return JsonResponse(entry)

    def _entry(self) -> dict[str, Any]:
        """One model, as OpenAI's clients and Anthropic's both read it."""
        id = self._model.name or self._name
        openai = {"object": "model", "created": 0, "owned_by": "nemo-gym"}
        return {"id": id, **openai, "type": "model", "display_name": id, "created_at": "1970-01-01T00:00:00Z"}

    async def _answer(self, request: Request, dialect: Dialect) -> HttpResponse:
        tag = rollout_tag(request.scope)
        record = CallRecord(self._options.capture, tag, dialect.name, self._name)
        try:
            record.request = await read_object(request, self._options.limits)
            asked = dialect.read(record.request)
        except (InvalidBody, UsageError) as error:
            problems = (error if isinstance(error, InvalidBody) else InvalidBody.of(error)).problems
            content = {"detail": problems, **dialect.error(422, str(error))}
            await record.failed(422, content)
            return JsonResponse(content, 422)
        record.params = None if asked.params is record.request else asked.params
        model = self._model.for_session_id(tag.rollout_id if tag else session_id(request.scope))
        if asked.stream and dialect.commits_first:
            events = self._committed(model, asked, dialect, record)
            return StreamingResponse(events, media_type=_EVENT_STREAM)
        outcome = await unless_gone(request, self._call(model, asked, dialect, record))
        if isinstance(outcome, ModelFailure):
            content = dialect.error(outcome.status, outcome.message)
            return JsonResponse(content, outcome.status, outcome.headers)
        if asked.stream:
            events = b"".join(dialect.events(outcome.content, asked))
            return HttpResponse(events, media_type=_EVENT_STREAM)
        return JsonResponse(outcome.content)

    async def _committed(
        self, model: Model, asked: Asked, dialect: Dialect, record: CallRecord
    ) -> AsyncIterator[bytes]:
        """The events of a call that is made when status 200 has left already."""
        try:
            outcome = await self._call(model, asked, dialect, record)
        except Exception as error:
            log.exception("%s: a streamed call failed", self._name)
            outcome = ModelFailure(500, repr(error))
        if isinstance(outcome, ModelFailure):
            shell = Response.of([], id=_new_id(), model=self._model.name, created_at=time())
            yield b"".join(failed_response_events(shell.data, outcome.message))
        else:
            yield b"".join(dialect.events(outcome.content, asked))

    async def _call(
        self, model: Model, asked: Asked, dialect: Dialect, record: CallRecord
    ) -> _Answer | ModelFailure:
        """The outcome of one call, recorded."""
        try:
            response = served(await model.responses(asked.params), asked.params, id=_new_id(), now=time())
            answer = _Answer(response, dialect.write(response, asked))
        except GymError as error:
            failure = model_failure(error)
            content = dialect.error(failure.status, failure.message)
            await record.failed(failure.status, content, failure.category)
            return failure
        except Exception as error:
            await record.failed(500, repr(error), "exception")
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await record.abandoned()
            raise
        await record.finished(answer.content, response.data, streamed=asked.stream)
        return answer


log: Final = logging.getLogger(__name__)

_EVENT_STREAM: Final = "text/event-stream"
_OBJECT: Final = {"type": "object"}
_ERRORS: Final = {
    400: "The back end can't take this request",
    429: "The back end is overrun; Retry-After says how long to wait",
    502: "The back end can't be reached, or answered nonsense",
    504: "The back end did not answer in time",
}


def _new_id() -> str:
    return f"resp_{uuid4().hex}"
