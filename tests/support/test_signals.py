"""A signal is handled though the event loop has nothing to do."""

from __future__ import annotations

import subprocess
import sys

PATIENCE_S = 60.0
WAITING = """
import _thread, asyncio, threading, time
from nemo_gym.support.signals import waking_loop

def interrupt():
    "A signal that doesn't end the wait, as if it had come just before."
    time.sleep(0.2)
    _thread.interrupt_main()

async def main():
    threading.Thread(target=interrupt, daemon=True).start()
    with waking_loop():
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
LEAVING = """
import asyncio
from nemo_gym.support.signals import waking_loop

async def main():
    with waking_loop():
        pass
    print(all(timer.cancelled() for timer in asyncio.get_running_loop()._scheduled))

asyncio.run(main())
"""


def output_of(program: str) -> str:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout


def test_a_signal_that_comes_just_before_the_loop_waits_is_handled() -> None:
    assert output_of(WAITING) == "interrupted\n"


def test_the_loop_is_not_woken_afterwards() -> None:
    assert output_of(LEAVING) == "True\n"
