"""Ends of pipes for event loops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import IO, Any, cast

import pytest
import uvloop

from nemo_gym.support.pipe_end import PipeEnd

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Watched(PipeEnd):
    """Opens a file at the instant of the close. It gets the number of a descriptor that is closed already."""

    other = -1

    def close(self) -> None:
        if self.other < 0:
            self.other = os.open(os.devnull, os.O_RDONLY)
        super().close()


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("is_read", [True, False])
def test_a_transport_closes_its_end_once_and_no_other_file(
    new_loop: Callable[[], asyncio.AbstractEventLoop], is_read: bool
) -> None:
    async def use() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        read, write = os.pipe()
        own, rest = (read, write) if is_read else (write, read)
        end = Watched(own)
        connect: Any = loop.connect_read_pipe if is_read else loop.connect_write_pipe
        transport, _ = await connect(asyncio.Protocol, cast("IO[bytes]", end))
        transport.close()
        await asyncio.sleep(0.05)
        os.close(rest)
        return own, end.other

    with asyncio.Runner(loop_factory=new_loop) as runner:
        own, other = runner.run(use())
    os.fstat(other)  # It is still open.
    os.close(other)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(own)
