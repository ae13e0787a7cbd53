"""Isolated Python programs per second, and the time of the first one: `python benchmarks/sandbox.py`."""

from __future__ import annotations

import asyncio
from time import perf_counter

from nemo_gym.sandbox import Program, SandboxPool

PROGRAMS = 1000


async def main() -> None:
    SandboxPool().provider()  # the imports are not part of the first run
    pool = SandboxPool()
    start = perf_counter()
    await pool.run_python(Program("print(1)"))
    first = perf_counter() - start
    start = perf_counter()
    results = await asyncio.gather(
        *(pool.run_python(Program("print(int(input()) * 2)", stdin=str(n))) for n in range(PROGRAMS))
    )
    rate = PROGRAMS / (perf_counter() - start)
    assert [result.stdout for result in results] == [f"{2 * n}\n" for n in range(PROGRAMS)]
    print(f"first run {first * 1000:.0f} ms, then {rate:.0f} runs/s")
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
