"""The current rollout of the running code, and the path prefix that names it to a server."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.compat.errors import InvalidInput
from nemo_gym.serving.rollout_prefix import (
    TOKEN_CAPTURE_PATH,
    RolloutPrefix,
    RolloutTag,
    rollout_path,
    rollout_tag,
)
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.model_call import find_rollout_id

_current: ContextVar[RolloutTag | None] = ContextVar("nemo_gym_rollout", default=None)


def current_tag() -> RolloutTag | None:
    """The id of the current rollout, and whether its tokens are captured; None outside a rollout."""
    return _current.get()


def current_path_prefix() -> str:
    """The path prefix for calls to a model server; empty outside a rollout."""
    return rollout_path("", _current.get())


def request_path_prefix(request: Any) -> str:
    """The path prefix for calls to a model server on behalf of a request. The rollout is the one in the path
    of the request, or else the current one."""
    params = getattr(request, "path_params", None)
    rollout_id = object_of(params).get(_PATH_PARAMETER)
    if not isinstance(rollout_id, str):
        return current_path_prefix()
    tag = _current.get()
    if tag is not None and tag.rollout_id == rollout_id:
        return rollout_path("", tag)
    token_capture = TOKEN_CAPTURE_PATH in str(getattr(getattr(request, "url", None), "path", ""))
    return rollout_path_prefix(rollout_id, token_capture=token_capture)


@contextmanager
def rollout_context(rollout_id: str | None, *, token_capture: bool = False) -> Generator[None, None, None]:
    """Make this the current rollout inside the context."""
    token = _current.set(RolloutTag(rollout_id, token_capture) if rollout_id else None)
    try:
        yield
    finally:
        _current.reset(token)


def rollout_path_prefix(rollout_id: str | None, *, token_capture: bool = False) -> str:
    """The path prefix of a rollout; empty for none."""
    return rollout_path("", RolloutTag(rollout_id, token_capture)) if rollout_id else ""


def apply_rollout_prefix(base_url: str, rollout_id: str | None, *, token_capture: bool = False) -> str:
    """A server's root URL followed by the prefix of a rollout."""
    prefix = rollout_path_prefix(rollout_id, token_capture=token_capture)
    return base_url.rstrip("/") + prefix if prefix else base_url


def rollout_id_of(row: Mapping[str, Any]) -> str | None:
    """The id of a row's rollout; None when the row has no identity.

    Raises:
        InvalidInput: the row's id can't be part of a path.
    """
    try:
        return find_rollout_id({name: row[name] for name in keys.IDENTITY if row.get(name) is not None})
    except UsageError as error:
        raise InvalidInput(str(error)) from None


class RolloutContextMiddleware:
    """ASGI middleware: removes the prefix from a request's path and runs the handler in the rollout's
    context. The handler also finds the rollout's id in `request.path_params`."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = app
        self._prefix = RolloutPrefix(self._within)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._prefix(scope, receive, send)

    async def _within(self, scope: Scope, receive: Receive, send: Send) -> None:
        tag = rollout_tag(scope)
        if tag is None:
            await self._inner(scope, receive, send)
            return
        params = {**scope.get("path_params", {}), _PATH_PARAMETER: tag.rollout_id}
        with rollout_context(tag.rollout_id, token_capture=tag.token_capture):
            await self._inner({**scope, "path_params": params}, receive, send)


_PATH_PARAMETER: Final = "rollout_id"
"""The name of the path parameter with the rollout of a request."""
