"""The specification of a sandbox, and the results that it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from nemo_gym.sandbox.errors import InvalidSandbox
from nemo_gym.wire.errors import did_you_mean

S = TypeVar("S")

RUNTIME_FAILURE: Final = 125
"""The return code of a command that never ran because the sandbox itself failed."""


class SandboxStatus(StrEnum):
    """The status of a sandbox."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SandboxResources:
    """The resources of a sandbox; None leaves them to the provider."""

    cpu: float | None = None
    """Cores."""
    memory_mib: int | None = None
    disk_gib: int | None = None
    gpu: int | None = None
    """The number of GPUs."""
    gpu_type: str | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and value < 0:
                raise InvalidSandbox(f"sandbox resource {name}: expected 0 or more, not {value}")

    @classmethod
    def from_mapping(cls, mapping: SandboxResources | Mapping[str, Any] | None) -> SandboxResources:
        """The resources of a mapping; None leaves all of them to the provider.

        Raises:
            InvalidSandbox: it is no mapping, a key is unknown, or a value is not a number.
        """
        if isinstance(mapping, SandboxResources):
            return mapping
        if mapping is None:
            return cls()
        if not isinstance(mapping, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSandbox(f"sandbox resources: expected a mapping, not {mapping!r}")
        names = sorted(each.name for each in fields(cls))
        unknown = sorted(str(key) for key in set(mapping) - set(names))
        if unknown:
            raise InvalidSandbox(
                f"Unknown sandbox resource keys: {', '.join(unknown)}. Expected keys: {', '.join(names)}"
            )
        try:
            return cls(
                **{name: None if value is None else _KINDS[name](value) for name, value in mapping.items()}
            )
        except (TypeError, ValueError) as error:
            raise InvalidSandbox(f"sandbox resources {dict(mapping)!r}: {error}") from None


_KINDS: Final[dict[str, Callable[[Any], Any]]] = {
    "cpu": float,
    "memory_mib": int,
    "disk_gib": int,
    "gpu": int,
    "gpu_type": str,
}


@dataclass(frozen=True)
class SandboxSpec:
    """One sandbox.

    Raises:
        InvalidSandbox: a value is out of range or of the wrong type.
    """

    image: str | None = None
    """Container image, for the providers that run one."""
    ttl_s: int | float | None = None
    """Seconds after which it ends by itself."""
    ready_timeout_s: int | float | None = None
    """Seconds it may take to become ready."""
    workdir: str | None = None
    """Absolute path that commands start in and relative paths are taken from."""
    env: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, str] = field(default_factory=dict[str, str])
    """Text files that are there before anything runs: content by path."""
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    """Labels for the people who run the machines."""
    resources: SandboxResources | Mapping[str, Any] = field(default_factory=SandboxResources)
    """After construction always `SandboxResources`."""
    entrypoint: list[str] | None = None
    """The program that the sandbox starts with, in the background."""
    provider_options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Options for one provider, by its name. Of the built-in ones only `local` has some: `limits`."""
    ports: Sequence[int] = ()
    """TCP ports that can be reached from outside. After construction always a tuple."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "resources", SandboxResources.from_mapping(self.resources))
        object.__setattr__(self, "ports", _checked_ports(self.ports))
        for name in ("ttl_s", "ready_timeout_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidSandbox(f"SandboxSpec.{name}: expected more than 0 seconds, not {value!r}")
        if self.workdir is not None and not self.workdir.startswith("/"):
            raise InvalidSandbox(f"SandboxSpec.workdir: expected an absolute path, not {self.workdir!r}")
        for name in ("env", "files", "metadata"):
            for key, value in getattr(self, name).items():
                if not isinstance(key, str) or not isinstance(value, str):
                    raise InvalidSandbox(f"SandboxSpec.{name}[{key!r}]: expected text, not {value!r}")
                for text, allowed in ((key, ""), (value, "\0" if name == "files" else "")):
                    if not _is_text(text, allowed):
                        raise InvalidSandbox(
                            f"SandboxSpec.{name}[{key!r}]: {text[:100]!r} can't be used: it holds a NUL or a "
                            "surrogate"
                        )
        for key in self.env:
            if not key or "=" in key:
                raise InvalidSandbox(f"SandboxSpec.env: {key!r} can't name a variable")

    @property
    def limits(self) -> SandboxResources:
        """`resources`, with their type after construction."""
        return SandboxResources.from_mapping(self.resources)


@dataclass(frozen=True)
class SandboxUsage:
    """The resources that a command used, with the children that it waited for."""

    cpu_time_s: float
    peak_memory_mib: float
    """Of the largest process."""
    source: str
    """The name of the measurement, `wait4`, or `cgroup` for the CPU time of the whole sandbox."""


@dataclass(frozen=True)
class SandboxExecResult:
    """The result of a command. A failure of the sandbox itself has return code 125 and an `error_type`."""

    stdout: str | None
    stderr: str | None
    return_code: int
    error_type: str | None = None
    usage: SandboxUsage | None = None
    """None where the provider measures nothing."""


ExecResult = SandboxExecResult


@dataclass(frozen=True)
class SandboxEndpoint:
    """The URL of a port of a sandbox, and the headers that its requests need."""

    endpoint: str
    """Absolute URL."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Every request needs them."""


@dataclass
class SandboxHandle:
    """A sandbox as its provider knows it."""

    sandbox_id: str
    provider_name: str
    raw: Any


@dataclass(frozen=True)
class SandboxPtySpec:
    """An interactive session on a terminal, or on three pipes with `pty=False`."""

    command: str | None = None
    """A line of shell; None starts a shell."""
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict[str, str])
    rows: int = 24
    cols: int = 80
    user: str | int | None = None
    pty: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.rows < 1 << 16 and 0 < self.cols < 1 << 16):
            raise InvalidSandbox(f"SandboxPtySpec: {self.rows} x {self.cols} is no size of a terminal")


def settings_of(kind: type[S], settings: S | Mapping[str, Any] | None, where: str) -> S:
    """Settings as a frozen dataclass.

    Args:
        kind: the dataclass.
        settings: an object of it, a mapping from a configuration, or None for the defaults.
        where: the name of the settings in messages.

    Raises:
        InvalidSandbox: they are no mapping, or one of them is unknown.
    """
    if isinstance(settings, kind):
        return settings
    if settings is None:
        return kind()
    if not isinstance(settings, Mapping):
        raise InvalidSandbox(f"{where}: expected a mapping, not {settings!r}")
    names = [each.name for each in fields(cast("Any", kind))]
    for name in cast("Mapping[str, Any]", settings):
        if name not in names:
            raise InvalidSandbox(f"{where}: no setting {name!r}.{did_you_mean(str(name), names)}")
    return kind(**settings)


def _is_text(text: str, allowed: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return "\0" not in text or "\0" in allowed


def _checked_ports(ports: Sequence[int]) -> tuple[int, ...]:
    for port in ports:
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSandbox(f"SandboxSpec.ports: expected whole numbers from 1 to 65535, not {port!r}")
    if len(set(ports)) < len(ports):
        raise InvalidSandbox(f"SandboxSpec.ports: each port once, not {list(ports)}")
    return tuple(ports)
