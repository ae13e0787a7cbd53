"""Runs one-shot Python programs with any provider."""

from __future__ import annotations

import json
from typing import Final

from nemo_gym.sandbox.errors import SandboxStopped
from nemo_gym.sandbox.program import (
    REQUEST,
    RUNNER,
    Program,
    ProgramResult,
    reason_of,
    without_surrogates,
)
from nemo_gym.sandbox.providers.base import RunsPrograms, SandboxProvider
from nemo_gym.sandbox.sandbox import AsyncSandbox, Provider
from nemo_gym.sandbox.spec import SandboxExecResult, SandboxResources, SandboxSpec

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


def _cut(text: str, most: int) -> tuple[str, bool]:
    data = text.encode("utf-8", "replace")
    return (text, False) if len(data) <= most else (data[:most].decode("utf-8", "ignore"), True)
