"""The three dialects of a model server: how each asks, answers, streams and fails."""

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
class Asked:
    """A request in the one language, and how its answer is wanted."""

    params: RequestParams
    stream: bool = False
    include_usage: bool = False
    namespaces: Namespaces = field(default_factory=dict[str, tuple[str, str]])


class Dialect(Protocol):
    """What a model server needs to know of one dialect."""

    name: model_call.Dialect
    commits_first: bool
    """Whether a stream begins before the model is called, so that a failure becomes an event (2.5.4). The
    others wait a little, for a status that says what happened."""

    def read(self, body: Body) -> Asked:
        """What a request asks.

        Raises:
            UsageError: the request isn't valid; the message names the place.
        """
        ...

    def write(self, response: Response, asked: Asked) -> Body:
        """The answer that says what `response` says."""
        ...

    def awaited(self, shell: Body, sent: int) -> bytes:
        """What goes out while the answer is waited for, so that nobody takes the connection for dead.

        Args:
            shell: the Response, as far as it is known.
            sent: how often this went out before.
        """
        ...

    def events(self, answer: Body, asked: Asked, sent: int) -> Iterator[bytes]:
        """The answer as server-sent events, after `awaited` went out so many times."""
        ...

    def failed(self, shell: Body, status: int, message: str, sent: int) -> Iterator[bytes]:
        """A failure once the stream has begun."""
        ...

    def error(self, status: int, message: str) -> Body:
        """The error in the form that the dialect's clients read."""
        ...


class ResponsesDialect:
    """One call in OpenAI Responses."""

    name: model_call.Dialect = "responses"
    commits_first = True

    def read(self, body: Body) -> Asked:
        if not _streams(body):
            return Asked(check_served_params(body))
        request = read_streamed(body)
        if request.dropped:
            log.warning("left out of a streamed request: %s", ", ".join(request.dropped)[:2000])
        return Asked(request.params, stream=True, namespaces=request.namespaces)

    def write(self, response: Response, asked: Asked) -> Body:
        output = cast("list[dict[str, Any]]", response.output)
        return {**response.data, "output": with_namespaces(output, asked.namespaces)}

    def awaited(self, shell: Body, sent: int) -> bytes:
        return awaited_response_event(shell, sent)

    def events(self, answer: Body, asked: Asked, sent: int) -> Iterator[bytes]:
        return response_events(answer, sent=sent)

    def failed(self, shell: Body, status: int, message: str, sent: int) -> Iterator[bytes]:
        return failed_response_events(shell, message, sent=sent)

    def error(self, status: int, message: str) -> Body:
        return openai_error(status, message)


class ChatDialect:
    """One call in OpenAI Chat Completions."""

    name: model_call.Dialect = "chat"
    commits_first = False

    def read(self, body: Body) -> Asked:
        if not _streams(body):
            return Asked(check_served_params(params_from_chat(body)))
        params = check_served_params(params_from_chat(without_unknown(body)))
        match body.get("stream_options"):
            case {"include_usage": True}:
                return Asked(params, stream=True, include_usage=True)
            case _:
                return Asked(params, stream=True)

    def write(self, response: Response, asked: Asked) -> Body:
        return chat_completion(response)

    def awaited(self, shell: Body, sent: int) -> bytes:
        return CHAT_AWAITED

    def events(self, answer: Body, asked: Asked, sent: int) -> Iterator[bytes]:
        return chat_events(answer, include_usage=asked.include_usage)

    def failed(self, shell: Body, status: int, message: str, sent: int) -> Iterator[bytes]:
        yield failed_chat_event(self.error(status, message))

    def error(self, status: int, message: str) -> Body:
        return openai_error(status, message)


class MessagesDialect:
    """One call in Anthropic Messages."""

    name: model_call.Dialect = "messages"
    commits_first = False

    def read(self, body: Body) -> Asked:
        return Asked(check_served_params(params_from_messages(body)), stream=_streams(body))

    def write(self, response: Response, asked: Asked) -> Body:
        message = anthropic_message(response)
        return {**message, "model": message["model"] or asked.params.get("model") or ""}

    def awaited(self, shell: Body, sent: int) -> bytes:
        return MESSAGE_AWAITED

    def events(self, answer: Body, asked: Asked, sent: int) -> Iterator[bytes]:
        return message_events(answer)

    def failed(self, shell: Body, status: int, message: str, sent: int) -> Iterator[bytes]:
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
