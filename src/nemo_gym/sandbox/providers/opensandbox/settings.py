"""The settings of the opensandbox provider."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ConnectionConfig:
    """Where the server is."""

    domain: str | None = None
    """Host and port; None is what the SDK takes from OPEN_SANDBOX_DOMAIN."""
    api_key: str | None = field(default=None, repr=False)
    protocol: str = "http"
    request_timeout_s: float = 300.0
    use_server_proxy: bool = False
    """Reach sandboxes by way of the server."""


@dataclass(frozen=True)
class CreateConfig:
    """How a sandbox is made."""

    timeout_s: float | None = 1200.0
    """How long it lives, unless the spec's `ttl_s` says."""
    request_timeout_s: float = 1200.0
    """How long its making may take, unless the spec's `ready_timeout_s` says."""
    skip_health_check: bool = False
    retries: int = 0
    """How many times a sandbox that can't be made is tried again."""
    retry_delay_s: float = 5.0
    """Before the first of them; each wait is twice as long as the last."""
    retry_max_delay_s: float = 90.0


@dataclass(frozen=True)
class ExecConfig:
    """How commands run."""

    default_timeout_s: float = 180.0


@dataclass(frozen=True)
class OperationsConfig:
    """How files are copied, and sandboxes ended."""

    retries: int = 0
    """How many times a copy that fails is tried again."""
    retry_delay_s: float = 1.0
    """Before the first of them; each wait is twice as long as the last."""
    retry_max_delay_s: float = 45.0
    command_retries: int = 0
    """How many times a command that the server could not run is tried again. It may have run in part."""
    close_timeout_s: float = 30.0


@dataclass(frozen=True)
class AttributionConfig:
    """Labels that say whose work a sandbox is; None is what the environment variables `NEMO_GYM_TEAM`,
    `_USER` and `_WORKLOAD` say."""

    enabled: bool = True
    key_prefix: str = ""
    team: str | None = None
    user: str | None = None
    workload: str | None = None
