"""Runs a program that must not outlive the process that wanted it: `engine_guard.py PROGRAM ARGUMENT...`.

It is started as the leader of a process group, with a pipe as standard input that nothing is written to. When
the other end of the pipe closes, however the owner ended, the whole group is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 10.0
"""Seconds that the group has between being asked to end and being killed."""


def main(argv: list[str]) -> int:
    """The exit code of the program, once it has ended."""
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
