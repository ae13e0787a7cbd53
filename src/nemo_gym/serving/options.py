"""`AppOptions`: what every app of one run has in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_gym.serving.limits import Limits
from nemo_gym.serving.recorder import Recorder
from nemo_gym.serving.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """Shared by the apps of one run; the defaults are those of a server on loopback."""

    cookie_secret: Secret = field(default_factory=Secret.random)
    """Signs session cookies; the same for all processes that serve one component."""
    token: Secret | None = None
    """What a caller must send as a bearer token; None lets everybody in."""
    limits: Limits = field(default_factory=Limits)
    capture: Recorder | None = None
    """What model servers tell about the calls of a rollout; None tells nobody."""
