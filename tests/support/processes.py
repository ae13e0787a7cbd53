"""Whether processes are still there."""

from __future__ import annotations

import asyncio
from pathlib import Path


async def until_dead(pid: int) -> bool:
    """Whether a process ends within some seconds; a zombie has ended."""
    for _ in range(3000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        await asyncio.sleep(0.02)
    return False
