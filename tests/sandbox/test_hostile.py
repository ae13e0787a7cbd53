"""Hostile programs: nothing outside is reached, each one ends within its limits, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from nemo_gym.sandbox import Program, ProgramResult, SandboxPool
from tests.support.hostile_programs import BURDENS, CALL, ESCAPES, IMPORTS

TIMEOUT_S = 1.0
HEAPS = ("heap of many", "shared mapping", "heap")
"""They use up the memory, for which a slow machine needs its time."""
ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "1"))


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[SandboxPool]:
    before, mounts = processes(), Path("/proc/self/mountinfo").read_text()
    settings = {"isolation": "required", "folder": str(tmp_path)}
    pool = SandboxPool({"local": {"create": settings}}, limit=4)
    yield pool
    await pool.aclose()
    assert processes() <= before
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert list(tmp_path.glob("gym-sandbox-*")) == []


def processes() -> set[int]:
    """The descendants of this process, with zombies."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family, size = {os.getpid()}, 0
    while size != len(family):
        size = len(family)
        family |= {pid for pid, parent in parents.items() if parent in family}
    return family


async def test_burdens_end_within_their_limits_and_leave_nothing(pool: SandboxPool) -> None:
    async def run(name: str) -> tuple[str, ProgramResult, float]:
        async with places:
            start, limit = monotonic(), 60.0 if name in HEAPS else TIMEOUT_S
            result = await pool.run_python(
                Program(IMPORTS + CALL + BURDENS[name], timeout_s=limit, memory_mib=128)
            )
            return name, result, monotonic() - start

    places = asyncio.Semaphore(4)
    async with asyncio.timeout(300 * ROUNDS):
        ends = await asyncio.gather(*(run(name) for name in BURDENS for _ in range(ROUNDS)))
    if ROUNDS > 1:
        slowest = max(ends, key=lambda end: end[2])
        print(f"{len(ends)} programs; the slowest is {slowest[0]}: {slowest[2]:.2f} s")
        assert slowest[2] < TIMEOUT_S + 1
    reasons = {name: result.reason for name, result, _ in ends}
    assert {"infra"}.isdisjoint(reasons.values())
    for name in HEAPS:
        assert reasons[name] == "oom", name
    for name in ("loop", "loop that ignores signals", "stops itself", "half a line"):
        assert reasons[name] == "timeout", name
    assert reasons["empty files"] in ("limit", "timeout")
    result = await pool.run_python(
        Program("import os; print([os.listdir(p) for p in ('.', '/tmp', '/dev/shm', '/home/sandbox')])")
    )
    assert result.stdout == "[[], [], [], []]\n"


async def test_escapes_are_not_possible(
    pool: SandboxPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "hush")
    secret = tmp_path / "secret"
    secret.write_text("hush")
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(("127.0.0.1", 0))
        server.listen()
        abstract.bind(f"\0gym-{os.getpid()}")
        abstract.listen()
        known = (
            f"SECRET = {str(secret)!r}; PORT = {server.getsockname()[1]}; OUTSIDE = {os.getpid()}\n"
            f"ABSTRACT = '\\0gym-{os.getpid()}'; GROUP = {os.getpid()}\n"
        )
        for name, code in ESCAPES.items():
            result = await pool.run_python(Program(IMPORTS + CALL + known + code))
            assert (result.exit_code, result.stdout) == (1, ""), (name, result)


async def test_a_program_sees_nothing_of_the_one_before(pool: SandboxPool) -> None:
    word = "nebuchad" + "nezzar"
    first = Program(f"import sys\nx = {word!r}\nopen('x', 'w').write(x)", stdin=word, files={"y": word})
    assert (await pool.run_python(first)).reason == "ok"
    code = """
import ctypes, os
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # so that it can read its own memory
seen = size = 0
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps.read().splitlines():
        start, end = (int(word, 16) for word in line.split()[0].split('-'))
        if 'r' in line.split()[1] and not line.endswith(('[vvar]', '[vvar_vclock]', '[vsyscall]', '[vdso]')):
            memory.seek(start)
            text = memory.read(end - start)
            size += len(text)
            seen += sum(part.startswith(b'nezzar') for part in text.split(b'nebuchad')[1:])
print(size > 1 << 20, seen, os.listdir('.'))
"""
    result = await pool.run_python(Program(code))
    assert result.stdout == "True 0 []\n", result.stderr
