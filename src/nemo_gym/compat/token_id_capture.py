"""The tokens of captured calls: their form, which call is captured now, and what a store of a trainer's own
has to do."""

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
    """A model call whose tokens are captured when it is answered."""

    rollout_id: str
    model_call_id: str
    parent_tokens: list[int] = field(default_factory=list[int])
    """Of the call that this one goes on from, for a server that has its engine begin with them. Always empty:
    calls are joined when the rollout is over, and what is sent holds the tokens of the last answer itself."""
    prefix_requested: bool = False
    """Whether the server sent `parent_tokens` on; for the server's own use."""
    prefix_supplied: bool = False
    """Whether the engine's answer shows that it began with them; for the server's own use."""


_current: ContextVar[CaptureContext | None] = ContextVar("nemo_gym_token_capture", default=None)


def current_capture_context() -> CaptureContext | None:
    """The call that the running code answers; None for one that is not captured."""
    return _current.get()


@contextmanager
def capture_context(context: CaptureContext) -> Generator[None, None, None]:
    """Everything that runs inside answers this call."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
