"""`ForkServer`: starts server programs as forks of one process that has imported what they import."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from nemo_gym.support.pipe_end import PipeEnd

LONGEST_PACKET: Final = 1 << 16


class ForkRequest(msgspec.Struct):
    """Asks for a process. The file descriptors of its standard input and its output come with the message."""

    name: str
    """The instance that the process serves."""
    folder: str
    """The folder of its program."""


class ForkReply(msgspec.Struct):
    """The answer to a request (`pid`, or `refusal`), or the report that a process has ended (`exit_code`)."""

    pid: int = 0
    refusal: str = ""
    exit_code: int | None = None


class ForkedProcess:
    """A process that the fork server has started, with the methods of `asyncio.subprocess.Process` that are
    needed."""

    def __init__(self, pid: int, end: asyncio.Future[int]) -> None:
        self.pid = pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self._end = end
        self._transports: list[asyncio.BaseTransport] = []

    async def connect(self, stdin: int, stdout: int, *, limit: int) -> None:
        """Connect to its pipes.

        Args:
            limit: bytes of the longest line of its output.
        """
        loop, output, file = asyncio.get_running_loop(), PipeEnd.file(stdout), PipeEnd.file(stdin)
        reader = self.stdout = asyncio.StreamReader(limit)
        read, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
        self._transports.append(read)
        write, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), file
        )
        self._transports.append(write)
        self.stdin = asyncio.StreamWriter(write, protocol, None, loop)

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.shield(self._end)

    def close(self) -> None:
        """Close the pipes."""
        for transport in self._transports:
            transport.close()


class ForkServer:
    """One process that forks others; it ends with this one.

    Without a working fork server, `fork` returns None, and the caller starts an ordinary process.

    Args:
        env: the environment variables of the fork server and of every process that it starts.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._process: Process | None = None
        self._socket: socket.socket | None = None
        self._replies: deque[asyncio.Future[ForkedProcess | str]] = deque()
        """The reply to each open request: its process or the refusal. The first reply means ready."""
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._ready = asyncio.create_task(self._start())

    async def fork(self, name: str, folder: str, *, limit: int) -> ForkedProcess | None:
        """Start the process of an instance; None when an ordinary process has to be started.

        Raises:
            OSError: no pipe can be created.
        """
        if not await asyncio.shield(self._ready) or self._socket is None:
            return None
        child_in, stdin = os.pipe()
        stdout, child_out = os.pipe()
        try:
            process = await self._ask(ForkRequest(name, folder), [child_in, child_out])
        except BaseException:
            os.close(stdin)
            os.close(stdout)
            raise
        finally:
            os.close(child_in)
            os.close(child_out)
        if process is None:
            os.close(stdin)
            os.close(stdout)
            return None
        await process.connect(stdin, stdout, limit=limit)
        return process

    async def close(self) -> None:
        """End the fork server. Its processes must have ended before."""
        self._ready.cancel()
        await asyncio.gather(self._ready, return_exceptions=True)
        self._disconnect()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _start(self) -> bool:
        """Whether the fork server is ready."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        with theirs:
            ours.setblocking(False)
            command = (sys.executable, "-P", "-m", "nemo_gym.serving.fork_server_main", str(theirs.fileno()))
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    stderr=DEVNULL,
                    env=self._env,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError:
                self._disconnect()
                return False
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_READY_S):
                if await self._reply() == "":
                    return True
        self._disconnect()
        return False

    async def _ask(self, request: ForkRequest, fds: list[int]) -> ForkedProcess | None:
        assert self._socket is not None
        try:
            socket.send_fds(self._socket, [msgspec.json.encode(request)], fds)
            reply = await self._reply()
        except OSError:
            return None
        return reply if isinstance(reply, ForkedProcess) else None

    def _reply(self) -> asyncio.Future[ForkedProcess | str]:
        reply: asyncio.Future[ForkedProcess | str] = asyncio.get_running_loop().create_future()
        self._replies.append(reply)
        return reply

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            content = self._socket.recv(LONGEST_PACKET)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self._disconnect()
            return
        reply = msgspec.json.decode(content, type=ForkReply)
        if reply.exit_code is not None:
            self._ends.pop(reply.pid).set_result(reply.exit_code)
            return
        outcome: ForkedProcess | str = reply.refusal
        if reply.pid:
            end = self._ends[reply.pid] = asyncio.get_running_loop().create_future()
            outcome = ForkedProcess(reply.pid, end)
        waiting = self._replies.popleft()
        if not waiting.done():
            waiting.set_result(outcome)

    def _disconnect(self) -> None:
        """Close the connection and kill the processes, whose end nobody can report now."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None
        for waiting in self._replies:
            if not waiting.done():
                waiting.set_exception(ConnectionError("the fork server has ended"))
        self._replies.clear()
        for pid, end in self._ends.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            end.set_result(-signal.SIGKILL)
        self._ends.clear()


_READY_S: Final = 60.0
"""Seconds that the imports of the fork server may take; afterwards processes are started without it."""
