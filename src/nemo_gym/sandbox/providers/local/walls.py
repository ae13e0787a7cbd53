"""A test of a sandbox without namespaces: a program in it tries to reach what must be closed to it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from nemo_gym.sandbox.errors import SandboxCreateError, SandboxStopped
from nemo_gym.sandbox.providers.local.control import Control
from nemo_gym.sandbox.providers.local.launch import nothing_file
from nemo_gym.sandbox.providers.local.layout import Layout
from nemo_gym.support.finishing import finish
from nemo_gym.support.process_output import Output

_TEST_S: Final = 20.0
_NAME: Final = "closed"
_PROGRAM: Final = """
import ctypes, os, resource, socket, sys
closed, parent, network = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "host"
libc = ctypes.CDLL(None, use_errno=True)

def unshared():
    if libc.unshare(0x10000000):
        raise OSError

def connected():
    socket.socket(socket.AF_UNIX).connect(chr(0) + "x")

attempts = {
    "reads files outside": lambda: open(closed).read(),
    "writes files outside": lambda: open(closed + "2", "w"),
    "empties files outside": lambda: os.truncate(closed, 0),
    "deletes files outside": lambda: os.remove(closed),
    "lists processes": lambda: os.listdir("/proc"),
    "signals processes outside": lambda: os.kill(parent, 0),
    "limits processes outside": lambda: resource.prlimit(parent, resource.RLIMIT_CORE),
    "opens local sockets": connected,
    "creates user namespaces": unshared,
}
if not network:
    attempts["opens internet sockets"] = lambda: socket.socket()
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    print(name)
open("inside", "w").write("x")
print("end")
"""


async def check_walls(control: Control, layout: Layout, *, network: bool) -> None:
    """Make sure that a sandbox holds.

    Args:
        control: its supervisor.
        layout: its folders.
        network: whether it has the network of this machine.

    Raises:
        SandboxCreateError: it does not, or can't run a program.
    """
    place = layout.folder / _NAME
    await finish(asyncio.to_thread(_write, place, layout.owner))
    words = [
        "python3",
        "-I",
        "-S",
        "-c",
        _PROGRAM,
        str(place),
        str(os.getpid()),
        "host" if network else "none",
    ]
    with await Output.pipe(1 << 14) as out:
        try:
            with out.end, nothing_file() as nothing:
                files = [nothing.fileno(), out.end.fileno(), out.end.fileno()]
                run = await control.run(words, layout.environment(), None, files)
            async with asyncio.timeout(_TEST_S):
                await asyncio.shield(run.end)
                await asyncio.wait([out.drained])
        except (OSError, SandboxStopped) as error:  # a timeout is an OSError too
            raise SandboxCreateError(
                f"no program runs in the sandbox: {error or 'it did not end'}"
            ) from error
    lines = out.text.strip().splitlines()
    if lines[-1:] != ["end"]:
        raise SandboxCreateError(f"no program runs in the sandbox: {' '.join(lines)[-300:] or 'no output'}")
    if lines[:-1]:
        raise SandboxCreateError(f"code in the sandbox {', '.join(lines[:-1])}")


def _write(place: Path, owner: int | None) -> None:
    place.write_text("closed")
    if owner is not None:
        os.chown(place, owner, owner)  # so that only Landlock can close it
