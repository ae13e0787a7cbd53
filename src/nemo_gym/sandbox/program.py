"""One-shot Python programs: what runs, what came of it, and how it runs in a sandbox of any provider."""

from __future__ import annotations

import json
import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from nemo_gym.sandbox.errors import InvalidSandbox, SandboxStopped
from nemo_gym.sandbox.providers.base import RunsPrograms, SandboxProvider
from nemo_gym.sandbox.sandbox import AsyncSandbox, Provider
from nemo_gym.sandbox.spec import SandboxExecResult, SandboxResources, SandboxSpec

Reason = Literal["ok", "timeout", "oom", "limit", "denied", "infra"]

REQUEST: Final = ".program.json"
RUNNER: Final = ".runner.py"
_SOURCE: Final = """
import json, os, resource, sys
with open(".program.json", encoding="utf-8", errors="surrogatepass") as file:
    request = json.load(file)
os.remove(".program.json")
os.remove(".runner.py")
limit = request["memory_mib"] << 20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
place = os.open(".stdin", os.O_RDONLY)
os.dup2(place, 0)
os.close(place)
os.remove(".stdin")
sys.argv = ["program.py", *request["arguments"]]
sys.path.insert(0, os.getcwd())
space = {"__name__": "__main__", "__builtins__": __builtins__, "__file__": "program.py"}
exec(compile(request["code"], "program.py", "exec"), space)
"""


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


async def run_program(provider: SandboxProvider, program: Program) -> ProgramResult:
    """Run a program in the provider's own way, or else in a sandbox of its own. Raises like
    `run_in_fresh_sandbox`."""
    if isinstance(provider, RunsPrograms):
        return await provider.run_python(program)
    return await run_in_fresh_sandbox(provider, program)


async def run_in_fresh_sandbox(provider: Provider, program: Program) -> ProgramResult:
    """Run a program in a sandbox of its own.

    Raises:
        SandboxCreateError: the sandbox can't be created.
        SandboxStopped: the sandbox failed while the program ran.
    """
    request = {
        "code": program.code,
        "arguments": list(program.arguments),
        "memory_mib": program.memory_mib,
    }
    files = {
        **{path: without_surrogates(text) for path, text in program.files.items()},
        REQUEST: json.dumps(request),
        RUNNER: _SOURCE,
        ".stdin": without_surrogates(program.stdin),
    }
    resources = SandboxResources(memory_mib=program.memory_mib)
    async with AsyncSandbox(provider, SandboxSpec(files=files, resources=resources)) as sandbox:
        await sandbox.start()
        try:
            command = f"exec python3 -I -B {RUNNER}"
            result = await sandbox.exec(command, timeout_s=program.timeout_s)
        except TimeoutError:
            return ProgramResult(
                "", "", False, None, None, "timeout", program.timeout_s, 0, sandbox.isolation
            )
        if result.error_type is not None:
            raise SandboxStopped(f"a program can't be run: {result.stderr}")
        return _result(result, program, sandbox.isolation)


def without_surrogates(text: str) -> str:
    """The text with lone surrogates as question marks, so that it can be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _result(result: SandboxExecResult, program: Program, isolation: str) -> ProgramResult:
    stdout, out_cut = _cut(result.stdout or "", program.max_output_bytes)
    stderr, err_cut = _cut(result.stderr or "", program.max_output_bytes)
    number = result.return_code - 128 if result.return_code > 128 else None
    usage = result.usage
    return ProgramResult(
        stdout,
        stderr,
        out_cut or err_cut,
        result.return_code if number is None else None,
        number,
        reason_of(number, result.return_code, stderr),
        usage.cpu_time_s if usage else 0.0,
        usage.peak_memory_mib if usage else 0.0,
        isolation,
    )


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


def _cut(text: str, most: int) -> tuple[str, bool]:
    data = text.encode("utf-8", "replace")
    return (text, False) if len(data) <= most else (data[:most].decode("utf-8", "ignore"), True)
