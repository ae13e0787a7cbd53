"""`AppOptions`: what every app of one run has in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_gym.capture.recorder import Recorder, Recorders
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.profiling import CpuProfile
from nemo_gym.serving.rollout_prefix import RolloutTag
from nemo_gym.serving.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """Shared by the apps of one run; the defaults are those of a server on loopback."""

    cookie_secret: Secret = field(default_factory=Secret.random)
    """Signs session cookies; the same for all processes that serve one component."""
    token: Secret | None = None
    """What a caller must send as a bearer token; None lets everybody in."""
    limits: Limits = field(default_factory=Limits)
    max_sandboxes: int | None = None
    """Sessions that may have sandboxes at the same time; None is the pool's default."""
    host_names: frozenset[str] = frozenset()
    """By which clients know the servers, besides those of loopback."""
    capture: Recorder | None = None
    """What is told of the model calls of every rollout; None is nothing."""
    tokens: Recorder | None = None
    """What is told of those whose tokens are captured for training; None is nothing."""
    tokens_of_all: bool = False
    """Whether these are those of every rollout, not only of agents that ask for it."""

    @property
    def captures(self) -> bool:
        """Whether anything is told of any call."""
        return self.capture is not None or self.tokens is not None

    profile: CpuProfile | None = None
    """Of this process; every server offers it at `GET /stats`."""

    def captures_tokens(self, tag: RolloutTag | None) -> bool:
        """Whether the tokens of a call of this rollout are captured."""
        return self.tokens is not None and tag is not None and (tag.token_capture or self.tokens_of_all)

    def recorder(self, tag: RolloutTag | None) -> Recorder | None:
        """What is to be told of a call of this rollout."""
        if tag is None or not self.captures_tokens(tag):
            return None if tag is None else self.capture
        both = [one for one in (self.capture, self.tokens) if one is not None]
        return both[0] if len(both) == 1 else Recorders(both)

    ping_s: float = 15.0
    """Seconds of silence after which a streaming client is told that its answer is still being made."""
