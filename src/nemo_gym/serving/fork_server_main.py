"""The program of the fork server: `python -m nemo_gym.serving.fork_server_main FD`, with FD a packet socket.

It imports the modules that server programs import, and then forks a process for each request. It has one
thread and no event loop, so that a fork copies no half-done work. It never reads the configuration of its
processes, which comes through their own standard input.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import pkgutil
import select
import socket
import sys
from typing import Final

import msgspec

from nemo_gym.serving import server_process_main
from nemo_gym.serving.fork_server import LONGEST_PACKET, ForkReply, ForkRequest

PRELOADED: Final = (
    "aiohttp",
    "fastapi",
    "openai",
    "pydantic",
    "nemo_gym.base_resources_server",
    "nemo_gym.base_responses_api_agent",
    "nemo_gym.base_responses_api_model",
)
"""Modules that server programs import. They must not depend on the working folder or on environment variables
that a server's process gets later."""


def main(fd: int) -> str:
    """Answer requests. Returns in a forked process only: the name of the instance that it serves."""
    connection = socket.socket(fileno=fd)
    connection.set_inheritable(False)
    os.close(os.pidfd_open(os.getpid()))  # an old kernel lacks it: better to end now
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    _send(connection, ForkReply(refusal=obstacle()))
    children: dict[int, int] = {}
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if pid := children.pop(ready, 0):
                poll.unregister(ready)
                os.close(ready)
                _, status = os.waitpid(pid, 0)
                _send(connection, ForkReply(pid, exit_code=os.waitstatus_to_exitcode(status)))
                continue
            content, fds, _, _ = socket.recv_fds(connection, LONGEST_PACKET, 2)
            if not content:
                sys.exit()
            request = msgspec.json.decode(content, type=ForkRequest)
            pid, refusal = 0, obstacle(request.folder)
            if not refusal:
                try:
                    pid = _fork(connection, *fds)
                except OSError as error:
                    refusal = str(error)
                else:
                    if not pid:
                        return request.name
            for fd in fds:
                os.close(fd)
            if pid:
                end = os.pidfd_open(pid)
                children[end] = pid
                poll.register(end, select.POLLIN)
            _send(connection, ForkReply(pid, refusal))


def _send(connection: socket.socket, reply: ForkReply) -> None:
    try:
        connection.send(msgspec.json.encode(reply))
    except OSError:
        sys.exit()  # the other end has closed: nobody needs this process any more


def obstacle(folder: str = "") -> str:
    """Why this process can't be forked for the program of a folder; empty when it can."""
    if len(os.listdir("/proc/self/task")) > 1:
        return "an import has started a thread"
    for module in pkgutil.iter_modules([folder] if folder else []):
        if module.name in sys.modules:
            return f"its module {module.name} has the name of one that is imported already"
    return ""


def _fork(connection: socket.socket, stdin: int, stdout: int) -> int:
    """The id of a new process, which has its own session by then; 0 in that process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        os.read(reading, 1)  # returns when the new process has closed its end
        os.close(reading)
        return pid
    os.setsid()
    for fd, own in ((stdin, 0), (stdout, 1), (stdout, 2)):
        os.dup2(fd, own)
    connection.detach()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    multiprocessing.current_process().authkey = os.urandom(32)
    return 0


if __name__ == "__main__":
    server_process_main.main(main(int(sys.argv[1])))
