"""The form of captured tokens, the current call, and the protocols for a trainer's own token store."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from nemo_gym.capture.tokens import TokenSink as TokenSink
from nemo_gym.capture.tokens import TokenSource as TokenSource
from nemo_gym.wire.model_call import TokenEntry as TokenEntry


@dataclass
class CaptureContext:
    """A model call whose tokens are captured with its answer."""

    rollout_id: str
    model_call_id: str
    parent_tokens: list[int] = field(default_factory=list[int])
    """The tokens of the call that this call continues. Always empty here: calls are joined when the rollout
    is over, and requests themselves hold the tokens of the last answer."""
    prefix_requested: bool = False
    """Whether the server passed `parent_tokens` on; for the server's own use."""
    prefix_supplied: bool = False
    """Whether the engine's answer begins with them; for the server's own use."""


_current: ContextVar[CaptureContext | None] = ContextVar("nemo_gym_token_capture", default=None)


def current_capture_context() -> CaptureContext | None:
    """The call that the running code answers; None for a call that is not captured."""
    return _current.get()


@contextmanager
def capture_context(context: CaptureContext) -> Generator[None, None, None]:
    """Make this the current call inside the context."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
