"""The path prefix with the rollout of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class RolloutTag:
    """The content of the prefix of a request."""

    rollout_id: str
    token_capture: bool
    """Whether the tokens of model calls are to be captured for training."""


class RolloutPrefix:
    """ASGI middleware: removes `/ng-rollout/<id>[/training-token-capture]` from the path before routing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_START):
            match = _PREFIX.match(scope["path"])
            if match:
                path = scope["path"][match.end() :]
                tag = RolloutTag(match["id"], match["capture"] is not None)
                scope = {**scope, "path": path, "raw_path": path.encode(), _TAG: tag}
        await self.app(scope, receive, send)


def rollout_tag(scope: Scope) -> RolloutTag | None:
    """The rollout in the path of a request; None without a valid prefix."""
    return scope.get(_TAG)


def rollout_path(path: str, tag: RolloutTag | None) -> str:
    """`path` with the prefix for a rollout in front of it."""
    if tag is None:
        return path
    return f"{_START}{tag.rollout_id}{TOKEN_CAPTURE_PATH if tag.token_capture else ''}{path}"


ROLLOUT_PATH_PREFIX: Final = "ng-rollout"
_START: Final = f"/{ROLLOUT_PATH_PREFIX}/"
TOKEN_CAPTURE_PATH: Final = "/training-token-capture"
_PREFIX: Final = re.compile(
    rf"{_START}(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{{0,199}})(?P<capture>{TOKEN_CAPTURE_PATH})?(?=/)"
)
_TAG: Final = "nemo_gym.rollout"
