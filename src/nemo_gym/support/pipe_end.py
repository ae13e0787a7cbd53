"""`PipeEnd`: an end of a pipe for a transport of asyncio or uvloop, which is closed exactly once."""

from __future__ import annotations

import asyncio
import os
from typing import IO, cast


class PipeEnd:
    """Takes the place of a file in `connect_read_pipe` and `connect_write_pipe`.

    A transport of asyncio leaves it to the file to close the descriptor. One of uvloop closes the descriptor
    itself, and then closes the file. By then another thread may have opened something with the same number,
    which a file would close.

    Args:
        descriptor: the end of the pipe; the transport owns it from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_closed = _closes_itself(asyncio.get_running_loop())

    @classmethod
    def file(cls, descriptor: int) -> IO[bytes]:
        """The end, typed as the file that a loop expects."""
        return cast("IO[bytes]", cls(descriptor))

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor, unless the loop does."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._descriptor)


def _closes_itself(loop: asyncio.AbstractEventLoop) -> bool:
    return type(loop).__module__.partition(".")[0] == "uvloop"
