"""Starts the process of a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import ExitStack
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

from nemo_gym.sandbox.providers.local.bundle import LOADER, bundle
from nemo_gym.sandbox.providers.local.inside.channel import PACKET_BYTES
from nemo_gym.sandbox.providers.local.jail import dropping_groups, jail_arguments, map_ids
from nemo_gym.sandbox.providers.local.syscalls import filter_program
from nemo_gym.support.finishing import finish

_INTERPRETER: Final = [getattr(sys, "_base_executable", sys.executable), "-I", "-S", "-c", LOADER]
_FIRST: Final = 1
"""The number of the supervisor's process in a jail."""


class Launched(NamedTuple):
    """A supervisor that waits for its plan."""

    process: Process
    channel: socket.socket
    errors: IO[bytes]
    """What it and the jail write to standard error."""


class _Pipe(NamedTuple):
    read: IO[bytes]
    write: IO[bytes]


async def launch(jail: dict[str, Any] | None) -> Launched:
    """Start a supervisor.

    Args:
        jail: the plan of `Layout.jail`; None starts it outside of a jail.

    Raises:
        OSError: it can't be started.
        SandboxCreateError: there is no program that makes a jail.
    """
    with ExitStack() as ours, ExitStack() as theirs:
        channel, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.enter_context(channel)
        theirs.enter_context(end)
        channel.setblocking(False)
        for each in (channel, end):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PACKET_BYTES)
        errors = ours.enter_context(memory_file(b""))
        # As root: bubblewrap names its child in the first pipe, and waits at the second one.
        outside = None if jail is None else jail["outside"]
        pipes = () if outside is None else (_pipe(theirs), _pipe(theirs))
        words, fds, options = await finish(asyncio.to_thread(_command, theirs, jail, end.fileno(), *pipes))
        process = await asyncio.create_subprocess_exec(
            *words, pass_fds=fds, env={}, cwd="/", stdin=DEVNULL, stdout=DEVNULL, stderr=errors,
            start_new_session=True, **options,
        )  # fmt: skip
        if pipes and outside is not None:
            pipes[0].write.close()
            try:
                await finish(asyncio.to_thread(_map_ids, outside, *pipes))
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                raise
        ours.pop_all()
    return Launched(process, channel, errors)


def nothing_file() -> IO[bytes]:
    """/dev/null, for reading and writing."""
    return open(os.devnull, "r+b", 0)


def memory_file(data: bytes) -> IO[bytes]:
    """A new file in memory, to be read from its beginning. Where this process may create none, it is on the
    disk and has no name."""
    try:
        file: IO[bytes] = os.fdopen(os.memfd_create("sandbox", os.MFD_CLOEXEC), "w+b", 0)
    except PermissionError:
        file = TemporaryFile(buffering=0)  # noqa: SIM115
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    file.seek(0)
    return file


def _command(
    stack: ExitStack,
    jail: dict[str, Any] | None,
    channel: int,
    info: _Pipe | None = None,
    wait: _Pipe | None = None,
) -> tuple[list[str], list[int], dict[str, Any]]:
    """The command that starts a supervisor, the descriptors that it needs, and options of its start."""
    program = stack.enter_context(memory_file(bundle())).fileno()
    words, fds = [*_INTERPRETER, str(channel), str(program)], [channel, program]
    if jail is None:
        return words, fds, {}
    filter = stack.enter_context(memory_file(filter_program(_FIRST))).fileno()
    fds.append(filter)
    if info is None or wait is None:
        return [*jail_arguments(jail, info=None, ready=None, filter=filter), *words], fds, {}
    fds += [info.write.fileno(), wait.read.fileno()]
    words = [*jail_arguments(jail, info=fds[-2], ready=fds[-1], filter=filter), *words]
    # Inside, the groups of this process could not be left any more. A function that runs before the start
    # makes Python copy this process, which takes milliseconds. uvloop has no `extra_groups`.
    prefix = dropping_groups()
    return [*prefix, *words], fds, {} if prefix else {"preexec_fn": partial(os.setgroups, [])}


def _map_ids(outside: int, info: _Pipe, wait: _Pipe) -> None:
    """Map the user inside to another one than that of this process.

    Raises:
        OSError: bubblewrap did not start, or it is not permitted.
    """
    child = _child_of(info.read)
    try:
        map_ids(child, outside)
        wait.write.write(b"x")
    except OSError:
        # Until its ids are mapped, bubblewrap's child would outlive its parent.
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        raise


def _pipe(stack: ExitStack) -> _Pipe:
    read, write = os.pipe()
    return _Pipe(
        stack.enter_context(os.fdopen(read, "rb", 0)), stack.enter_context(os.fdopen(write, "wb", 0))
    )


def _child_of(info: IO[bytes]) -> int:
    """The child of bubblewrap, which it writes as JSON in small pieces.

    Raises:
        OSError: it has started none.
    """
    text = b""
    while piece := info.read(1 << 12):
        text += piece
        if b"}" in text:
            return json.loads(text)["child-pid"]
    raise OSError("bubblewrap did not start")
