"""Messages between a supervisor and its provider: JSON in one packet, with file descriptors beside it."""

from __future__ import annotations

import array
import json
import socket
import sys

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from typing import Any

PACKET_BYTES = 1 << 18
"""The longest message."""

_MOST_RIGHTS = 8


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """The next message, which is empty at the end, and its descriptors, which no program inherits.

    Raises:
        OSError: no message can be received.
    """
    fds = array.array("i")
    data, rights, _, _ = control.recvmsg(
        PACKET_BYTES, socket.CMSG_LEN(_MOST_RIGHTS * fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for _, _, right in rights:
        fds.frombytes(right[: len(right) - len(right) % fds.itemsize])
    return data, list(fds)


def say(control: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    """Send a message. When nobody can receive it any more, this process ends."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        control.sendmsg([json.dumps(message).encode()], rights)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)


def decoded(data: bytes) -> dict[str, Any]:
    """A message. File names in it may be no Unicode (`surrogateescape`)."""
    return json.loads(data.decode("utf-8", "surrogatepass"))
