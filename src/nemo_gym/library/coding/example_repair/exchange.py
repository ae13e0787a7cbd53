"""Lines passed on between the sandbox with the tests and the one with the code that they test."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence
from signal import SIGKILL
from typing import Final

import msgspec

from nemo_gym.library.coding.example_repair.testing import MOST_BYTES
from nemo_gym.sandbox import AsyncSandbox, SandboxPtyError
from nemo_gym.sandbox.pty import Pty

_MOST_PRINTED: Final = 4000
_DRAIN_S: Final = 0.5
"""How long is waited for what was printed, when something that the code left running holds it open."""
_GONE: Final = b"null\n"


class Verdict(msgspec.Struct):
    """What the sandbox with the tests reports at its end."""

    ran: int
    bad: int
    report: str


async def exchange(subject: AsyncSandbox, tester: AsyncSandbox, words: Sequence[str]) -> Verdict | None:
    """Let the tests ask and the code answer, until the tests report.

    Args:
        subject: where the code is, in `code`.
        tester: where the tests are, in `tests`.
        words: the program of both, then the names of the code's modules.

    Returns:
        None when the tests end without a report.
    """
    program, *modules = words
    async with (
        await subject.pty.exec(f"exec {program} subject code", pty=False) as answering,
        await tester.pty.exec(f"exec {program} tests tests {shlex.join(modules)}", pty=False) as asking,
    ):
        printed = bytearray()
        readers = [
            asyncio.ensure_future(_keep_last(answering.read_stderr, printed)),
            asyncio.ensure_future(_keep_last(asking.read_stderr, bytearray())),
        ]
        try:
            report = await _pass_on(asking, answering)
            await answering.send_signal(SIGKILL)
            await asyncio.wait(readers[:1], timeout=_DRAIN_S)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    if report is None:
        return None
    try:
        verdict = msgspec.json.decode(report, type=Verdict)
    except msgspec.MsgspecError:
        return None
    if printed:
        verdict.report += f"\nPrinted by the code:\n{printed.decode('utf-8', 'replace')}"
    return verdict


async def _pass_on(asking: Pty, answering: Pty) -> bytes | None:
    """What the tests say at last. Code that does not answer any more fails every test that asks it."""
    questions, answers = _Lines(asking.read), _Lines(answering.read)
    there = True
    while (line := await questions.next()) is not None:
        if line.startswith(b"{"):
            return line
        answer = None
        if there:
            try:
                await answering.write(line)
                answer = await answers.next()
            except SandboxPtyError:
                answer = None
        there = answer is not None
        await asking.write(answer or _GONE)
    return None


class _Lines:
    """The lines of a stream. One that is too long ends it."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read
        self._buffer = bytearray()

    async def next(self) -> bytes | None:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            data = await self._read()
            if not data or start > MOST_BYTES:
                return None
            self._buffer += data
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line


async def _keep_last(read: Callable[[], Awaitable[bytes]], kept: bytearray) -> None:
    """Read a stream to its end, so that whoever writes it is not held up."""
    while data := await read():
        kept += data
        del kept[:-_MOST_PRINTED]
