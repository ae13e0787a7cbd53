"""The settings of the opensandbox provider."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_gym.sandbox.errors import InvalidSandbox


@dataclass(frozen=True)
class ConnectionConfig:
    """The address of the server."""

    domain: str | None = None
    """Host and port; with None the SDK reads OPEN_SANDBOX_DOMAIN."""
    api_key: str | None = field(default=None, repr=False)
    protocol: str = "http"
    request_timeout_s: float = 300.0
    use_server_proxy: bool = False
    """Reach sandboxes through the server."""


@dataclass(frozen=True)
class CreateConfig:
    """How a sandbox is created, or connected to when it runs already."""

    timeout_s: float | None = None
    """Seconds for one try to create it; None sets no limit."""
    request_timeout_s: float = 1200.0
    """Seconds to become ready, unless the spec has a `ready_timeout_s`."""
    lifetime_s: float | None = 1200.0
    """Seconds after which the server ends it, unless the spec has a `ttl_s`. None is never."""
    skip_health_check: bool = False
    image_pull_policy: str | None = None
    """`Always`, `IfNotPresent` or `Never`; None leaves it to the server."""
    retries: int = 0
    """The number of further tries to create a sandbox."""
    retry_delay_s: float = 5.0
    """Seconds before the first of them; each wait is twice as long as the last."""
    retry_max_delay_s: float = 90.0
    connect_attempt_timeout_s: float = 30.0
    """Seconds to connect to a running sandbox."""
    connect_poll_s: float = 2.0
    """Seconds between two checks whether it is ready."""

    def __post_init__(self) -> None:
        policies = ("Always", "IfNotPresent", "Never")
        if self.image_pull_policy is not None and self.image_pull_policy not in policies:
            raise InvalidSandbox(
                f"opensandbox.create.image_pull_policy: expected {', '.join(policies[:2])} or {policies[2]}, "
                f"not {self.image_pull_policy!r}"
            )


@dataclass(frozen=True)
class ExecConfig:
    """How commands run."""

    default_timeout_s: float = 180.0


@dataclass(frozen=True)
class OperationsConfig:
    """How files are copied and sandboxes are ended."""

    retries: int = 0
    """The number of further tries after a copy fails."""
    retry_delay_s: float = 1.0
    """Seconds before the first of them; each wait is twice as long as the last."""
    retry_max_delay_s: float = 45.0
    command_retries: int = 0
    """The number of further tries of a command that the server could not run. It may have run in part."""
    close_timeout_s: float = 30.0


@dataclass(frozen=True)
class AttributionConfig:
    """Labels that name the owner of a sandbox; None takes the value of the environment variable
    `NEMO_GYM_TEAM`, `_USER` or `_WORKLOAD`."""

    enabled: bool = True
    key_prefix: str = ""
    team: str | None = None
    user: str | None = None
    workload: str | None = None
