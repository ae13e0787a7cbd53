"""Passes lines between the sandbox with the tests and the sandbox with the code that they test."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence
from signal import SIGKILL
from typing import Final

import msgspec

from nemo_gym.library.coding.example_repair.testing import MAX_BYTES
from nemo_gym.sandbox import AsyncSandbox, SandboxPtyError
from nemo_gym.sandbox.pty import Pty

_MAX_OUTPUT: Final = 4000
_DRAIN_S: Final = 0.5
"""Seconds to wait for the end of the code's output, when a process that the code started keeps it open."""
_NO_ANSWER: Final = b"null\n"


class Verdict(msgspec.Struct):
    """The report of the sandbox with the tests."""

    count: int
    """How many tests ran."""
    failures: int
    """How many of them did not pass."""
    report: str


async def exchange(subject: AsyncSandbox, tester: AsyncSandbox, words: Sequence[str]) -> Verdict | None:
    """Pass the questions of the tests to the code, and its answers back, until the tests report.

    Args:
        subject: the sandbox with the code, in the folder `code`.
        tester: the sandbox with the tests, in the folder `tests`.
        words: the program of both sandboxes, then the names of the code's modules.

    Returns:
        None when the tests end without a report.
    """
    program, *modules = words
    async with (
        await subject.pty.exec(f"exec {program} subject code", pty=False) as answering,
        await tester.pty.exec(f"exec {program} tests tests {shlex.join(modules)}", pty=False) as asking,
    ):
        output = bytearray()
        readers = [
            asyncio.ensure_future(_keep_end(answering.read_stderr, output)),
            asyncio.ensure_future(_keep_end(asking.read_stderr, bytearray())),
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
    if output:
        verdict.report += f"\nPrinted by the code:\n{output.decode('utf-8', 'replace')}"
    return verdict


async def _pass_on(asking: Pty, answering: Pty) -> bytes | None:
    """The report of the tests. When the code stops answering, every test that asks it fails."""
    questions, answers = _Lines(asking.read), _Lines(answering.read)
    answer: bytes | None = b""
    while (line := await questions.next()) is not None:
        if line.startswith(b"{"):
            return line
        if answer is not None:
            try:
                await answering.write(line)
                answer = await answers.next()
            except SandboxPtyError:
                answer = None
        await asking.write(answer or _NO_ANSWER)
    return None


class _Lines:
    """The lines of a stream, up to the first line that is too long."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read
        self._buffer = bytearray()

    async def next(self) -> bytes | None:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            data = await self._read()
            if not data or start > MAX_BYTES:
                return None
            self._buffer += data
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line


async def _keep_end(read: Callable[[], Awaitable[bytes]], end: bytearray) -> None:
    """Read a stream, so that its writer does not have to wait, and keep the end of it."""
    while data := await read():
        end += data
        del end[:-_MAX_OUTPUT]
