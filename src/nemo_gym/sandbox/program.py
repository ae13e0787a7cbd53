"""One-shot Python programs and their results."""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from nemo_gym.sandbox.errors import InvalidSandbox

Reason = Literal["ok", "timeout", "oom", "limit", "denied", "infra"]

REQUEST: Final = ".program.json"
RUNNER: Final = ".runner.py"


@dataclass(frozen=True)
class Program:
    """One Python program. It runs in a fresh folder, alone and without a network."""

    code: str
    stdin: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Text files in its working directory: content by relative path."""
    arguments: Sequence[str] = ()
    """`sys.argv` after the name of the program."""
    timeout_s: float = 10.0
    """Seconds of wall time."""
    memory_mib: int = 512
    """The limit of the memory of all its processes."""
    max_output_bytes: int = 1 << 20
    """The limit of each output stream."""

    def __post_init__(self) -> None:
        for name in ("timeout_s", "memory_mib", "max_output_bytes"):
            if not getattr(self, name) > 0:
                raise InvalidSandbox(f"Program.{name}: expected more than 0, not {getattr(self, name)!r}")
        for path in self.files:
            if path.startswith("/") or ".." in path.split("/") or path in (REQUEST, RUNNER, ".stdin"):
                raise InvalidSandbox(
                    f"Program.files[{path[:100]!r}]: expected a relative path inside the working directory"
                )


@dataclass(frozen=True)
class ProgramResult:
    """The end of a program."""

    stdout: str
    stderr: str
    truncated: bool
    """Whether a stream was longer than the limit."""
    exit_code: int | None
    """None when a signal or a limit ended it."""
    signal: int | None
    """The signal that ended it."""
    reason: Reason
    """`ok` for every program that ended by itself, also with an error. `infra` is never returned: a failure
    of the sandbox raises."""
    cpu_s: float
    peak_memory_mib: float
    isolation: str
    """The isolation that held, such as `namespaces`."""


def without_surrogates(text: str) -> str:
    """The text with lone surrogates as question marks, so that it can be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()


def reason_of(number: int | None, code: int | None, stderr: str) -> Reason:
    """The reason why a program ended, from its signal, its exit code and its last words."""
    match number:
        case signals.SIGKILL:
            return "oom"
        case signals.SIGXCPU | signals.SIGXFSZ:
            return "limit"
        case signals.SIGSYS:
            return "denied"
        case _:
            return "oom" if code == 1 and stderr.rstrip().endswith("MemoryError") else "ok"
