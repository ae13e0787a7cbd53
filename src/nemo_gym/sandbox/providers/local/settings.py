"""The settings of the local provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from nemo_gym.sandbox.config import default_isolation
from nemo_gym.sandbox.errors import InvalidSandbox

_ISOLATIONS: Final = ("required", "auto", "namespaces", "landlock", "off")


@dataclass(frozen=True)
class LocalCreateConfig:
    """How a sandbox is created."""

    isolation: Literal["required", "auto", "namespaces", "landlock", "off"] = field(
        default_factory=default_isolation
    )
    """`required`: namespaces; Landlock where the kernel permits none; an error where Landlock is not enough.
    `auto`: the same, with a warning in place of the error. `namespaces`, `landlock`: this one, or an error.
    `off`: none. By default `required`, and `auto` after `allow_unsafe()`."""
    network: Literal["none", "host"] = "none"
    """`host` gives the sandbox this machine's network."""
    readable: list[str] = field(default_factory=list[str])
    """Paths of this machine that code inside can read, in addition to the system's programs."""
    ignore_image: bool = False
    """Accept a spec that names a container image, and run it without the image."""
    folder: str | None = None
    """The folder for the sandboxes' folders; by default the system's temporary folder."""
    start_timeout_s: float = 30.0
    cgroup: str | None = None
    """The control group (version 2) in which each sandbox gets a group of its own; by default the group of
    this process or the one above it. Where no group with limits can be created, processes are counted
    instead."""

    def __post_init__(self) -> None:
        for name, choices in (("isolation", _ISOLATIONS), ("network", ("none", "host"))):
            value = getattr(self, name)
            if value not in choices:
                raise InvalidSandbox(
                    f"local.create.{name}: expected one of {', '.join(choices)}, not {value!r}"
                )


@dataclass(frozen=True)
class LocalExecConfig:
    """How commands run."""

    default_timeout_s: float = 180.0
    shell: str = "auto"
    """`auto` is bash, or sh where there is none."""
    output_bytes: int = 1 << 20
    """The limit for each output stream: half from its beginning, half from its end."""


@dataclass(frozen=True)
class LocalLimitsConfig:
    """The limits of one process; None sets no limit."""

    memory_mib: int | None = 4096
    """Memory for data (heap and anonymous memory), unless the spec has a limit."""
    file_mib: int | None = 1024
    """The size of a file that it writes, unless the spec's `disk_gib` is less."""
    cpu_s: int | None = None
    open_files: int | None = 1024
    processes: int | None = 256
    """Processes of the whole sandbox. The limit holds only under isolation."""


@dataclass(frozen=True)
class LocalOptions:
    """Options of a spec for this provider: `provider_options={"local": {...}}`."""

    limits: Mapping[str, int | None] = field(default_factory=dict[str, int | None])
    """They replace limits of the provider's settings."""

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSandbox(f"local.limits of a spec: expected a mapping, not {self.limits!r}")
