"""A program that runs the escapes in a sandbox and prints, as JSON, those that succeed.

It runs as any user, and can first take user namespaces, or Landlock too, away from itself:
`python -m tests.support.escapes namespaces|landlock|nothing FOLDER`.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import sys
from errno import ENOSYS
from pathlib import Path
from typing import Any, Final

from nemo_gym.sandbox import AsyncSandbox, Program, SandboxSpec
from nemo_gym.sandbox.errors import NotIsolated
from nemo_gym.sandbox.providers.local import LocalProvider, syscalls
from nemo_gym.sandbox.providers.local.inside.confinement import filter_calls
from tests.support.hostile_programs import CALL, ESCAPES, EXCESSES, IMPORTS

NOBODY: Final = 2**22
"""The number of no process."""
RUNNER: Final = """
import json, os, sys
known, programs = json.load(open("programs.json"))
for name, code in programs.items():
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        try:
            exec(known + code, {})
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status != 256 or open("output").read():
        print(name)
print("end")
"""


def give_up(what: str) -> None:
    """Take user namespaces, or Landlock too, away from this process and its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    filter_calls(syscalls.filter_program(NOBODY))
    if what == "nothing":
        machine = os.uname().machine
        lines = [
            *syscalls._calls_of(machine),
            *syscalls._ending([(444, 444)], syscalls._column(machine), syscalls._refusal(ENOSYS)),
            syscalls._code(syscalls._RETURN, syscalls._ALLOWED),
        ]
        filter_calls(b"".join(lines))


async def attack(folder: Path) -> dict[str, Any]:
    """Run all escapes in one sandbox, and all excesses each in its own."""
    secret = folder / "outside" / "secret"
    secret.parent.mkdir(mode=0o755)
    secret.write_text("hush")
    secret.chmod(0o644)
    os.environ["API_KEY"] = "hush"
    (boxes := folder / "boxes").mkdir(mode=0o755)
    provider = LocalProvider(create={"folder": str(boxes)})
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as abstract, socket.socket(1) as named:
        server.bind(("127.0.0.1", 0))
        abstract.bind(f"\0gym-{os.getpid()}")
        named.bind(f"{secret}.socket")
        os.chmod(f"{secret}.socket", 0o777)
        for listener in (server, abstract, named):
            listener.listen()
        known = (
            f"{IMPORTS}{CALL}SECRET = {str(secret)!r}; PORT = {server.getsockname()[1]}; "
            f"OUTSIDE = {os.getpid()}; ABSTRACT = '\\0gym-{os.getpid()}'; GROUP = {os.getpid()}\n"
        )
        files = {"programs.json": json.dumps([known, ESCAPES]), "runner.py": RUNNER}
        try:
            async with AsyncSandbox(provider, SandboxSpec(files=files)) as sandbox:
                await sandbox.start()
                isolation = sandbox.isolation
                result = await sandbox.exec("exec python3 -I -S runner.py 2> errors || cat errors")
        except NotIsolated as error:
            return {"user": os.geteuid(), "refusal": str(error)}
    excesses = [name for name, code in EXCESSES.items() if await exceeds(provider, code)]
    await provider.aclose()
    return {
        "user": os.geteuid(),
        "isolation": isolation,
        "successes": result.stdout.splitlines(),
        "excesses": excesses,
        "outside": {path.name: [path.read_text(), path.stat().st_mode & 0o777] for path in [secret]},
        "left": os.listdir(boxes) + sorted(path.name for path in secret.parent.iterdir()),
    }


async def exceeds(provider: LocalProvider, code: str) -> bool:
    result = await provider.run_python(Program(IMPORTS + code, timeout_s=8))
    return result.reason == "infra" or ("done" in result.stdout and result.reason == "ok")


if __name__ == "__main__":
    if sys.argv[1] != "namespaces":
        give_up(sys.argv[1])
    print(json.dumps(asyncio.run(attack(Path(sys.argv[2])))))
