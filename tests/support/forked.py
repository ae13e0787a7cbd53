"""Runs the `gym` command in forks of one process that has imported it: `preloaded.py`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile


class ForkServer:
    """The process, and the socket to it. One command runs at a time; the others wait."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, words: tuple[object, ...], *, cwd: Path, environ: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Have one command run; what it printed and its exit code.

        Raises:
            subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
        """
        request = {"words": [*map(str, words)], "cwd": str(cwd), "environ": dict(environ)}
        with (
            self._turn,
            open(os.devnull) as stdin,
            TemporaryFile("w+") as stdout,
            TemporaryFile("w+") as stderr,
        ):
            channel = self._connected()
            line = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(channel, [line], [file.fileno() for file in (stdin, stdout, stderr)])
            channel.sendall(line[sent:])
            channel.settimeout(None)
            with channel.makefile() as answers:
                pid = int(answers.readline())
                timer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
                timer.start()
                code = int(answers.readline())
                timer.cancel()
            if timer.finished.is_set() and code == -signal.SIGKILL:
                raise subprocess.TimeoutExpired(list(map(str, words)), timeout)
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(words, code, stdout.read(), stderr.read())

    def close(self) -> None:
        """End the process."""
        if self._channel is not None and self._process is not None:
            self._channel.close()
            self._process.wait()
            self._channel = self._process = None

    def _connected(self) -> socket.socket:
        if self._channel is None:
            self._channel, theirs = socket.socketpair()
            program = str(Path(__file__).with_name("preloaded.py"))
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, program, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
        return self._channel


FORKS = ForkServer()
"""Of this process of the tests."""
