"""Runs a program that must end when the process that started it ends: `engine_guard.py PROGRAM ARGUMENT...`.

The guard is the leader of a process group. Its standard input is a pipe that nobody writes to. When the owner
ends, for whatever reason, the other end of the pipe closes, and the guard ends the whole group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 10.0
"""Seconds between the signal to end and the signal that kills."""


def main(argv: list[str]) -> int:
    """Run the program to its end and return its exit code."""
    lifeline = os.dup(0)
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return program.wait()


def _end_with(lifeline: int) -> None:
    while os.read(lifeline, 4096):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
