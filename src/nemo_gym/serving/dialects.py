"""The three dialects of a model server: requests, answers, streams and errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from nemo_gym.wire import model_call
from nemo_gym.wire.chat_serving import chat_completion, params_from_chat, without_unknown
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.messages_serving import anthropic_message, params_from_messages
from nemo_gym.wire.params import RequestParams, check_served_params
from nemo_gym.wire.response import Response
from nemo_gym.wire.stream_request import Namespaces, read_streamed, with_namespaces
from nemo_gym.wire.streams import (
    CHAT_AWAITED,
    MESSAGE_AWAITED,
    awaited_response_event,
    chat_events,
    failed_chat_event,
    failed_message_event,
    failed_response_events,
    message_events,
    response_events,
)

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request as Responses parameters, and the form of its answer."""

    params: RequestParams
    stream: bool = False
    include_usage: bool = False
    namespaces: Namespaces = field(default_factory=dict[str, tuple[str, str]])


class Dialect(Protocol):
    """One dialect of a model server."""

    name: model_call.Dialect
    begins_at_once: bool
    """Whether a stream begins before the model is called: a failure is then an event. Other dialects wait a
    little, so that the status can report a failure."""

    def read(self, body: Body) -> ModelRequest:
        """The request in a body.

        Raises:
            UsageError: the request isn't valid; the message names the place.
        """
        ...

    def write(self, response: Response, model_request: ModelRequest) -> Body:
        """The answer in this dialect."""
        ...

    def ping(self, shell: Body, pings: int) -> bytes:
        """An event without content, which keeps the connection alive until the answer comes.

        Args:
            shell: the Response without its output.
            pings: how many pings were sent before.
        """
        ...

    def events(self, answer: Body, model_request: ModelRequest, pings: int) -> Iterator[bytes]:
        """The answer as server-sent events, after so many pings."""
        ...

    def failure(self, shell: Body, status: int, message: str, pings: int) -> Iterator[bytes]:
        """The events of a failure after the stream has begun."""
        ...

    def error(self, status: int, message: str) -> Body:
        """The error in the form of the dialect."""
        ...


class ResponsesDialect:
    """One call in OpenAI Responses."""

    name: model_call.Dialect = "responses"
    begins_at_once = True

    def read(self, body: Body) -> ModelRequest:
        if not _streams(body):
            return ModelRequest(check_served_params(body))
        request = read_streamed(body)
        if request.dropped:
            log.warning("left out of a streamed request: %s", ", ".join(request.dropped)[:2000])
        return ModelRequest(request.params, stream=True, namespaces=request.namespaces)

    def write(self, response: Response, model_request: ModelRequest) -> Body:
        output = cast("list[dict[str, Any]]", response.output)
        return {**response.data, "output": with_namespaces(output, model_request.namespaces)}

    def ping(self, shell: Body, pings: int) -> bytes:
        return awaited_response_event(shell, pings)

    def events(self, answer: Body, model_request: ModelRequest, pings: int) -> Iterator[bytes]:
        return response_events(answer, sent=pings)

    def failure(self, shell: Body, status: int, message: str, pings: int) -> Iterator[bytes]:
        return failed_response_events(shell, message, sent=pings)

    def error(self, status: int, message: str) -> Body:
        return openai_error(status, message)


class ChatDialect:
    """One call in OpenAI Chat Completions."""

    name: model_call.Dialect = "chat"
    begins_at_once = False

    def read(self, body: Body) -> ModelRequest:
        if not _streams(body):
            return ModelRequest(check_served_params(params_from_chat(body)))
        params = check_served_params(params_from_chat(without_unknown(body)))
        match body.get("stream_options"):
            case {"include_usage": True}:
                return ModelRequest(params, stream=True, include_usage=True)
            case _:
                return ModelRequest(params, stream=True)

    def write(self, response: Response, model_request: ModelRequest) -> Body:
        return chat_completion(response)

    def ping(self, shell: Body, pings: int) -> bytes:
        return CHAT_AWAITED

    def events(self, answer: Body, model_request: ModelRequest, pings: int) -> Iterator[bytes]:
        return chat_events(answer, include_usage=model_request.include_usage)

    def failure(self, shell: Body, status: int, message: str, pings: int) -> Iterator[bytes]:
        yield failed_chat_event(self.error(status, message))

    def error(self, status: int, message: str) -> Body:
        return openai_error(status, message)


class MessagesDialect:
    """One call in Anthropic Messages."""

    name: model_call.Dialect = "messages"
    begins_at_once = False

    def read(self, body: Body) -> ModelRequest:
        return ModelRequest(check_served_params(params_from_messages(body)), stream=_streams(body))

    def write(self, response: Response, model_request: ModelRequest) -> Body:
        message = anthropic_message(response)
        return {**message, "model": message["model"] or model_request.params.get("model") or ""}

    def ping(self, shell: Body, pings: int) -> bytes:
        return MESSAGE_AWAITED

    def events(self, answer: Body, model_request: ModelRequest, pings: int) -> Iterator[bytes]:
        return message_events(answer)

    def failure(self, shell: Body, status: int, message: str, pings: int) -> Iterator[bytes]:
        yield failed_message_event(self.error(status, message))

    def error(self, status: int, message: str) -> Body:
        kind = _ANTHROPIC_ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}}


def openai_error(status: int, message: str) -> Body:
    """The error form of both OpenAI dialects."""
    kind = _OPENAI_ERRORS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


log: Final = logging.getLogger(__name__)

_OPENAI_ERRORS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_ERRORS: Final = {**_OPENAI_ERRORS, 413: "request_too_large", 504: "timeout_error"}


def _streams(body: Body) -> bool:
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise UsageError(f"stream: expected true, false or null, got {stream!r:.50}")
    return stream is True
