"""Turns errors into HTTP answers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any, Final, TypedDict, cast

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.wire import keys
from nemo_gym.wire.errors import JudgeFailed, RolloutError, TaskUnfit, UsageError
from nemo_gym.wire.masking import without_secrets

log = logging.getLogger("nemo_gym.serving")


class Problem(TypedDict):
    """A problem at one place of a request body."""

    type: str
    loc: list[str | int]
    """The path from `"body"` to the place."""
    msg: str
    input: Any
    """The value at the place, if it is short."""


class InvalidBody(Exception):
    """The body of the request is not valid. The answer has status 422 and the problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem["msg"] for problem in problems))
        self.problems = problems

    @classmethod
    def at(cls, loc: Sequence[str | int], message: str, *, type: str = "value_error") -> InvalidBody:
        """One problem; `loc` starts below the body."""
        return cls([{"type": type, "loc": ["body", *loc], "msg": message, "input": None}])

    @classmethod
    def of(cls, error: UsageError | msgspec.ValidationError, *loc: str | int) -> InvalidBody:
        """The problem in a message with its place: `tools[0].name: ...` or `... - at `$.tools[0].name``."""
        text = str(error)
        if isinstance(error, msgspec.ValidationError):
            match = _MSGSPEC.fullmatch(text)
            path, message = (match["path"] or "", match["message"]) if match else ("", text)
            if missing := _MISSING.fullmatch(message):
                return cls.at([*loc, *_places(path), missing[1]], "Field required", type="missing")
            return cls.at([*loc, *_places(path)], message)
        match = _USAGE.fullmatch(text)
        return cls.at([*loc, *_places(match[1])], match[2]) if match else cls.at(loc, text)


class ErrorForms:
    """ASGI middleware: turns whatever a handler raises into an answer.

    It is inside `SessionCookie`, so that errors carry the cookie too.
    """

    def __init__(self, app: ASGIApp, *, label: str) -> None:
        self.app = app
        self.label = label

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except BaseException as error:
            if has_begun or _must_pass(error):
                raise
            await self._answer(error, scope)(scope, receive, send)

    def _answer(self, error: BaseException, scope: Scope) -> JsonResponse:
        where = f"{self.label} {scope['method']} {scope['path']}"
        match error:
            case InvalidBody():
                log.warning("%s: 422 %s", where, error)
                return JsonResponse({"detail": error.problems}, 422)
            case TaskUnfit():
                log.warning("%s: 422 %s", where, error)
                return JsonResponse({"detail": InvalidBody.at([], str(error)).problems}, 422)
            case JudgeFailed():
                log.warning("%s: 500 %s", where, error)
                return JsonResponse(judge_failure(error), 500)
            case HTTPException():
                return http_error(error)
            case ClientDisconnect():
                log.warning("%s: the client left before it had sent the whole request", where)
                return http_error(HTTPException(400, "the client left before the end of the request"))
            case RolloutError() if error.http_status is not None:
                log.error("%s: %s", where, error)
                upstream = without_secrets(error.body if error.body is not None else str(error))
                return JsonResponse(f"<{self.label}> called another server, which failed: {upstream}", 500)
            case Exception():
                log.error("%s: %r", where, error, exc_info=error)
                return JsonResponse(without_secrets(repr(error)), 500)
            case _:
                log.error("%s: %r", where, error, exc_info=error)
                return JsonResponse("the handler ended with something that is not an Exception", 500)


async def on_http_error(_: Request, error: Exception) -> JsonResponse:
    """Starlette exception handler for `HTTPException`."""
    return http_error(cast("HTTPException", error))


def http_error(error: HTTPException) -> JsonResponse:
    """`{"detail": ...}`, as FastAPI answers."""
    return JsonResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def judge_failure(error: JudgeFailed) -> dict[str, Any]:
    """The fields of an answer about the failure of a model that the environment asks."""
    return {
        keys.FAILURE_CLASS: error.failure_class,
        keys.FAILURE_JUDGE_ERROR: without_secrets(str(error)),
    }


def _must_pass(error: BaseException) -> bool:
    """Whether the server is stopping or the client has gone."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, GeneratorExit))


_MSGSPEC: Final = re.compile(r"(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_USAGE: Final = re.compile(r"([\w.\[\]]+): (.*)", re.DOTALL)
_PLACE: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def _places(path: str) -> list[str | int]:
    return [int(index) if index else name for index, name in _PLACE.findall(path)]
