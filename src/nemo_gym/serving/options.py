"""`AppOptions`: the options of every app of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nemo_gym.capture.recorder import Recorder, Recorders
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.profiling import CpuProfile
from nemo_gym.serving.rollout_prefix import RolloutTag
from nemo_gym.serving.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """The options of the apps of one run. The defaults are for a server on loopback."""

    cookie_secret: Secret = field(default_factory=Secret.random)
    """Signs session cookies. All processes of one component have the same secret."""
    token: Secret | None = None
    """The bearer token that callers must send; None for no token."""
    limits: Limits = field(default_factory=Limits)
    max_sandboxes: int | None = None
    """The most sessions with sandboxes at the same time; None for the pool's default."""
    sandbox_provider: str | dict[str, Any] | None = None
    """The provider that makes the sandboxes; None is `local`."""
    host_names: frozenset[str] = frozenset()
    """Host names of the servers, besides those of loopback."""
    capture: Recorder | None = None
    """Receives the model calls of every rollout; None for no recorder."""
    tokens: Recorder | None = None
    """Receives the calls whose tokens are captured for training; None for no recorder."""
    tokens_of_all: bool = False
    """Whether `tokens` receives the calls of every rollout, not only of agents that ask for it."""
    profile: CpuProfile | None = None
    """The profile of this process; every server returns it at `GET /stats`."""
    ping_s: float = 15.0
    """Seconds without an event after which a streaming client gets a ping."""

    @property
    def captures(self) -> bool:
        """Whether any call is recorded."""
        return self.capture is not None or self.tokens is not None

    def captures_tokens(self, tag: RolloutTag | None) -> bool:
        """Whether the tokens of a call of this rollout are captured."""
        return self.tokens is not None and tag is not None and (tag.token_capture or self.tokens_of_all)

    def recorder(self, tag: RolloutTag | None) -> Recorder | None:
        """The recorder for the calls of a rollout; None for no recorder."""
        if tag is None or not self.captures_tokens(tag):
            return None if tag is None else self.capture
        both = [one for one in (self.capture, self.tokens) if one is not None]
        return both[0] if len(both) == 1 else Recorders(both)
