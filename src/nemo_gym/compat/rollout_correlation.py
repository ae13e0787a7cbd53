"""The current rollout of the running code, and the path prefix that names it to a server."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.serving.rollout_prefix import (
    TOKEN_CAPTURE_PATH,
    RolloutPrefix,
    RolloutTag,
    rollout_path,
    rollout_tag,
)
from nemo_gym.wire import keys

ROLLOUT_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

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
    named = cast("Mapping[str, Any]", params).get(_PATH_PARAMETER) if isinstance(params, Mapping) else None
    if not isinstance(named, str):
        return current_path_prefix()
    tag = _current.get()
    if tag is not None and tag.rollout_id == named:
        return rollout_path("", tag)
    captured = TOKEN_CAPTURE_PATH in str(getattr(getattr(request, "url", None), "path", ""))
    return rollout_path_prefix(named, token_capture=captured)


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
        ValueError: the row's id can't be part of a path.
    """
    rollout_id = row.get(keys.ROLLOUT_ID)
    if rollout_id is None:
        task, rollout = row.get(keys.TASK_INDEX), row.get(keys.ROLLOUT_INDEX)
        if task is None or rollout is None:
            return None
        rollout_id = f"{task}-{rollout}"
    if attempt := row.get(keys.ATTEMPT_INDEX):
        rollout_id = f"{rollout_id}-a{attempt}"
    if not isinstance(rollout_id, str) or not ROLLOUT_ID_PATTERN.fullmatch(rollout_id):
        raise ValueError(f"{keys.ROLLOUT_ID}: {rollout_id!r} must match {ROLLOUT_ID_PATTERN.pattern}")
    return rollout_id


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
        named = {**scope.get("path_params", {}), _PATH_PARAMETER: tag.rollout_id}
        with rollout_context(tag.rollout_id, token_capture=tag.token_capture):
            await self._inner({**scope, "path_params": named}, receive, send)


_PATH_PARAMETER: Final = "rollout_id"
"""The name of the path parameter with the rollout of a request."""
