"""A model as a server that speaks all three dialects."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from time import time
from typing import Any, Final
from uuid import uuid4

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute

from nemo_gym.capture.call_record import CallRecord
from nemo_gym.models.base import Model
from nemo_gym.models.failure import ModelFailure, model_failure
from nemo_gym.models.harness_model import RestoringModel
from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app, server_label
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.dialects import (
    ChatDialect,
    Dialect,
    MessagesDialect,
    ModelRequest,
    ResponsesDialect,
    openai_error,
)
from nemo_gym.serving.disconnects import cancel_on_disconnect
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.openapi import ApiRoute, Handler
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.rollout_prefix import rollout_tag
from nemo_gym.serving.schemas import CHAT, MESSAGES, PARAMS, RESPONSE
from nemo_gym.serving.sessions import session_id
from nemo_gym.wire.conversation_restore import ConversationRestorer
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.response import Response
from nemo_gym.wire.server_response import complete_response
from nemo_gym.wire.token_estimate import estimated_tokens


def model_app(model: Model, *, name: str, options: AppOptions, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The server of `model`: `/v1/responses`, `/v1/chat/completions`, `/v1/messages` and `/v1/models`.

    Args:
        name: the server instance's name, for the cookie, errors and recorded calls.
        options: its recorders receive every call whose path names a rollout.
        more: further routes.
    """
    server = _ModelServer(model, name, options)
    dialects: list[tuple[str, Dialect, dict[str, Any], dict[str, Any]]] = [
        ("/v1/responses", ResponsesDialect(), PARAMS, RESPONSE),
        ("/v1/chat/completions", ChatDialect(), CHAT, _OBJECT),
        ("/v1/messages", MessagesDialect(), MESSAGES, _OBJECT),
    ]
    routes = [
        *(
            ApiRoute(
                path,
                server.handler(dialect),
                summary=dialect.__doc__ or "",
                body=body,
                answer=answer,
                errors=_ERRORS,
            )
            for path, dialect, body, answer in dialects
        ),
        ApiRoute(
            "/v1/messages/count_tokens",
            server.count_tokens,
            summary="About how many tokens a Messages request has, estimated from its text.",
            body=MESSAGES,
            answer=_TOKENS,
            errors={422: "The request isn't valid"},
        ),
        ApiRoute("/v1/models", server.list_models, method="GET", summary="The model.", answer=_OBJECT),
        ApiRoute("/v1/models/{id:path}", server.get_model, method="GET", operations={}),
        *more,
    ]
    about = {"kind": "model", "name": model.name}
    return base_app(server_label(model, name), routes, options, about=about)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A model's answer, as a Response and in the client's dialect."""

    response: Response
    content: dict[str, Any]


class _ModelServer:
    """The handlers of one model's routes."""

    def __init__(self, model: Model, name: str, options: AppOptions) -> None:
        self._model = model
        self._name = name
        self._options = options
        self._replayed = _Rollouts()

    def handler(self, dialect: Dialect) -> Handler:
        """The handler that answers in `dialect`."""

        async def answer(request: Request) -> HttpResponse:
            return await self._answer(request, dialect)

        return answer

    async def count_tokens(self, request: Request) -> JsonResponse:
        dialect = MessagesDialect()
        try:
            params = dialect.read(await read_object(request))
        except (HTTPException, InvalidBody, UsageError) as error:
            status, content = _refusal(error, dialect)
            return JsonResponse(content, status)
        return JsonResponse({"input_tokens": estimated_tokens(params.params)})

    async def list_models(self, _: Request) -> JsonResponse:
        entry = self._entry()
        ends = {"first_id": entry["id"], "last_id": entry["id"], "has_more": False}
        return JsonResponse({"object": "list", "data": [entry], **ends})

    async def get_model(self, request: Request) -> JsonResponse:
        entry, name = self._entry(), request.path_params["id"]
        if name != entry["id"]:
            message = f"there is no model {name[:200]!r} here, only {entry['id']!r}"
            return JsonResponse({"type": "error", **openai_error(404, message)}, 404)
        return JsonResponse(entry)

    def _entry(self) -> dict[str, Any]:
        """The entry of the model, for the clients of OpenAI and of Anthropic."""
        id = self._model.name or self._name
        openai = {"object": "model", "created": 0, "owned_by": "nemo-gym"}
        return {"id": id, **openai, "type": "model", "display_name": id, "created_at": "1970-01-01T00:00:00Z"}

    async def _answer(self, request: Request, dialect: Dialect) -> HttpResponse:
        tag = rollout_tag(request.scope)
        rollout_id = tag.rollout_id if tag else None
        record = CallRecord(self._options.recorder(tag), rollout_id, dialect.name, self._name)
        try:
            record.request = await read_object(request)
            model_request = dialect.read(record.request)
        except (HTTPException, InvalidBody, UsageError) as error:
            status, content = _refusal(error, dialect)
            await record.save_failure(status, content)
            return JsonResponse(content, status)
        record.params = None if model_request.params is record.request else model_request.params
        model = self._model.for_session_id(rollout_id or session_id(request.scope))
        if rollout_id is not None and self._options.captures_tokens(tag):
            model = RestoringModel(model, self._replayed.of(rollout_id))
        if model_request.stream:
            call = partial(self._call, model, model_request, dialect, record)
            return await self._stream(request, call, model_request, dialect)
        outcome = await cancel_on_disconnect(request, self._call(model, model_request, dialect, record))
        if isinstance(outcome, ModelFailure):
            return _failure_response(outcome, dialect)
        return JsonResponse(outcome.content)

    async def _stream(
        self,
        request: Request,
        call: Callable[[], Coroutine[Any, Any, _Answer | ModelFailure]],
        model_request: ModelRequest,
        dialect: Dialect,
    ) -> HttpResponse:
        """The events of a call. A failure before the first event has its own status."""
        if dialect.begins_at_once:
            events = self._events(lambda: asyncio.create_task(call()), model_request, dialect)
            return StreamingResponse(events, media_type=_EVENT_STREAM)
        calling = asyncio.create_task(call())
        try:
            await cancel_on_disconnect(request, asyncio.wait({calling}, timeout=self._options.ping_s))
        except BaseException:
            await _cancel(calling)
            raise
        if not calling.done():
            events = self._events(lambda: calling, model_request, dialect)
            return StreamingResponse(events, media_type=_EVENT_STREAM)
        outcome = calling.result()
        if isinstance(outcome, ModelFailure):
            return _failure_response(outcome, dialect)
        return HttpResponse(
            b"".join(dialect.events(outcome.content, model_request, 0)), media_type=_EVENT_STREAM
        )

    async def _events(
        self,
        start: Callable[[], asyncio.Task[_Answer | ModelFailure]],
        model_request: ModelRequest,
        dialect: Dialect,
    ) -> AsyncIterator[bytes]:
        """The events of a call after its status 200 was sent; pings until it ends."""
        shell = Response.of([], id=_new_id(), model=self._model.name, created_at=time()).data
        silence = self._options.ping_s if dialect.begins_at_once else 0.0
        pings = 0
        calling = start()
        try:
            while not (await asyncio.wait({calling}, timeout=silence))[0]:
                yield dialect.ping(shell, pings)
                pings, silence = pings + 1, self._options.ping_s
            outcome = calling.result()
        except Exception as error:
            log.exception("%s: a streamed call failed", self._name)
            outcome = ModelFailure(500, without_secrets(repr(error)))
        finally:
            await _cancel(calling)
        if isinstance(outcome, ModelFailure):
            yield b"".join(dialect.failure(shell, outcome.status, outcome.message, pings))
        else:
            first_event = {"id": shell["id"]} if pings and dialect.begins_at_once else {}
            yield b"".join(dialect.events({**outcome.content, **first_event}, model_request, pings))

    async def _call(
        self, model: Model, model_request: ModelRequest, dialect: Dialect, record: CallRecord
    ) -> _Answer | ModelFailure:
        """Call the model and record the call."""
        try:
            answer = await model.responses(model_request.params)
            response = complete_response(answer, model_request.params, id=_new_id(), now=time())
            answer = _Answer(response, dialect.write(response, model_request))
        except GymError as error:
            failure = model_failure(error)
            content = dialect.error(failure.status, failure.message)
            await record.save_failure(failure.status, content, failure.category)
            return failure
        except Exception as error:
            await record.save_failure(500, without_secrets(repr(error)), "exception")
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await record.mark_incomplete()
            raise
        await record.save_answer(answer.content, response.data, streamed=model_request.stream)
        return answer


class _Rollouts:
    """The calls of the latest rollouts."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, ConversationRestorer] = OrderedDict()

    def of(self, rollout_id: str) -> ConversationRestorer:
        """The calls of one rollout so far."""
        replayed = self._known.setdefault(rollout_id, ConversationRestorer())
        self._known.move_to_end(rollout_id)
        if len(self._known) > _MOST_ROLLOUTS:
            self._known.popitem(last=False)
        return replayed


def _refusal(error: HTTPException | InvalidBody | UsageError, dialect: Dialect) -> tuple[int, dict[str, Any]]:
    """Status and content of the answer to a request that can't be used."""
    if isinstance(error, HTTPException):
        detail: Any = error.detail
        message = detail if isinstance(detail, str) else "; ".join(problem["msg"] for problem in detail)
        return error.status_code, {"detail": detail, **dialect.error(error.status_code, message)}
    problems = (error if isinstance(error, InvalidBody) else InvalidBody.of(error)).problems
    return 422, {"detail": problems, **dialect.error(422, str(error))}


def _failure_response(failure: ModelFailure, dialect: Dialect) -> JsonResponse:
    content = dialect.error(failure.status, failure.message)
    return JsonResponse(content, failure.status, failure.headers)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait({task})


log: Final = logging.getLogger(__name__)

_MOST_ROLLOUTS: Final = 2048
_EVENT_STREAM: Final = "text/event-stream"
_OBJECT: Final = {"type": "object"}
_TOKENS: Final = {
    "type": "object",
    "properties": {"input_tokens": {"type": "integer"}},
    "required": ["input_tokens"],
}
_ERRORS: Final = {
    400: "The back end refuses the request",
    429: "The back end is overloaded; Retry-After says how long to wait",
    502: "The back end can't be reached, or answered nonsense",
    504: "The back end did not answer in time",
}


def _new_id() -> str:
    return f"resp_{uuid4().hex}"
