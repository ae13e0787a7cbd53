"""Sandboxes and one-shot programs run on the loop of the `gym` command, which is uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop

from nemo_gym.sandbox import AsyncSandbox
from nemo_gym.sandbox.pool import SandboxPool
from nemo_gym.sandbox.program import Program
from tests.support.started import until


def test_a_sandbox_and_a_program_run_on_uvloop() -> None:
    async def run() -> tuple[str, str]:
        async with AsyncSandbox("local") as sandbox:
            await sandbox.start()
            groups = await sandbox.exec("grep Groups: /proc/self/status")
        pool = SandboxPool()
        try:
            return groups.stdout.strip(), (await pool.run_python(Program("print(6 * 7)"))).stdout
        finally:
            await pool.aclose()

    assert uvloop.run(run()) == ("Groups:", "42\n")


def test_a_start_that_is_cancelled_leaves_no_process() -> None:
    async def run() -> None:
        for delay in (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02) * 3:
            sandbox = AsyncSandbox("local")
            try:
                await asyncio.wait_for(sandbox.start(), delay)
            except TimeoutError:
                continue
            finally:
                await sandbox.stop()

    uvloop.run(run())
    assert until(lambda: not orphans("bwrap"))


def orphans(name: str) -> list[str]:
    """The processes of this environment's program of this name that have lost their parent."""
    pids: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            _, _, fields = (folder / "stat").read_text().rpartition(")")
            command = (folder / "cmdline").read_text()
            if (
                fields.split()[1] == "1"
                and command.partition("\0")[0].endswith(name)
                and sys.prefix in command
            ):
                pids.append(folder.name)
    return pids
