"""What other processes print reaches the terminal as safe text, and all of it."""

from __future__ import annotations

import asyncio
import io
import sys

from nemo_gym.runs.output import show_output
from nemo_gym.wire.masking import remember_secrets
from nemo_gym.wire.safe_text import is_harmful


async def printed(code: str, to: io.StringIO | None = None) -> str:
    """What is shown of a Python process that runs this code."""
    into = io.StringIO() if to is None else to
    async with asyncio.timeout(60), show_output(into) as (printed,):
        words = (sys.executable, "-c", f"import os\n{code}")
        process = await asyncio.create_subprocess_exec(*words, stderr=printed)
        await process.wait()
    return into.getvalue()


async def test_no_control_character_and_no_secret_gets_through_however_it_is_written() -> None:
    remember_secrets(["hunter2hunter2"])
    code = r"""
import time
for piece in ("\x1b[2Ja", "\x1b]52;c;x\x07", "hunter2", "hunter2\n\u202ex \x9b31m\n", "last"):
    os.write(2, piece.encode())
    time.sleep(0.01)
os.write(2, "\u00e9".encode()[:1]); time.sleep(0.01); os.write(2, "\u00e9".encode()[1:])
"""
    text = await printed(code)
    assert not [character for character in text if is_harmful(character)]
    assert "****\n" in text
    assert "hunter2" not in text
    assert text.endswith("lasté")


async def test_long_lines_and_bytes_that_are_no_text_are_shown() -> None:
    text = await printed(r"os.write(2, b'x' * (3 << 20) + b'\nshort \xff\n')")
    assert text.count("x") == 3 << 20
    assert text.endswith("short \N{REPLACEMENT CHARACTER}\n")


async def test_what_a_process_leaves_behind_does_not_keep_its_reader() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    assert await printed(f"os.write(2, b'said')\n{code}") == "said"


async def test_a_terminal_that_is_gone_does_not_keep_the_process_waiting() -> None:
    class Gone(io.StringIO):
        def write(self, _: str, /) -> int:
            raise OSError(5, "Input/output error")

    assert await printed("os.write(2, b'x\\n' * 200_000)", Gone()) == ""
