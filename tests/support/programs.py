"""Python programs in a process of their own, which may fork."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FORK = """
import os, signal, sys

def in_child(check):
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        os._exit(0 if check() else 7)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        sys.exit(f"the child ended with {code}")
"""
"""The beginning of a program: `in_child` calls `check` in a forked child, and ends if that is not true."""


def run_program(code: str) -> tuple[int, str, str]:
    """The exit code and the outputs of a program. From Python 3.12 on, a fork beside threads warns."""
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    root = Path(__file__).parents[2]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=root)
    return ended.returncode, ended.stdout, ended.stderr
