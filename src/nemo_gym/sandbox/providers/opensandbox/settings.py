"""The settings of the opensandbox provider."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_gym.sandbox.errors import InvalidSandbox


@dataclass(frozen=True)
class ConnectionConfig:
    """The address of the server."""

    domain: str | None = None
    """Host and port; None is what the SDK takes from OPEN_SANDBOX_DOMAIN."""
    api_key: str | None = field(default=None, repr=False)
    protocol: str = "http"
    request_timeout_s: float = 300.0
    use_server_proxy: bool = False
    """Reach sandboxes by way of the server."""


@dataclass(frozen=True)
class CreateConfig:
    """How a sandbox is made, or one that runs already is connected to."""

    timeout_s: float | None = None
    """How long one try to make it may take; None sets no limit of its own."""
    request_timeout_s: float = 1200.0
    """How long it may take to become ready, unless the spec's `ready_timeout_s` says."""
    lifetime_s: float | None = 1200.0
    """After which the server ends it, unless the spec's `ttl_s` says. None is never."""
    skip_health_check: bool = False
    image_pull_policy: str | None = None
    """`Always`, `IfNotPresent` or `Never`; None leaves it to the server."""
    retries: int = 0
    """How many times a sandbox that can't be made is tried again."""
    retry_delay_s: float = 5.0
    """Before the first of them; each wait is twice as long as the last."""
    retry_max_delay_s: float = 90.0
    connect_attempt_timeout_s: float = 30.0
    """How long it may take to connect to one that runs."""
    connect_poll_s: float = 2.0
    """Seconds between two looks whether it is ready."""

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
