"""Sandboxes and one-shot programs run on the loop of the `gym` command, which is uvloop."""

from __future__ import annotations

import uvloop

from nemo_gym.sandbox import AsyncSandbox
from nemo_gym.sandbox.pool import SandboxPool
from nemo_gym.sandbox.program import Program


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
