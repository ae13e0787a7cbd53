"""Addresses: bound before they are announced, and whether strangers can reach them."""

from __future__ import annotations

import errno
import ipaddress
import socket

from nemo_gym.wire.errors import GymError


class AddressInUse(GymError):
    """Somebody listens at the address already."""

    def __init__(self, message: str, owner: str, port: int) -> None:
        super().__init__(message)
        self.port = port
        self.owner = owner
        """Whose address it should have been."""


def bind(host: str, port: int, name: str, *, listen: bool = True) -> socket.socket:
    """A TCP socket bound to an address; with port 0 to any free one.

    Args:
        name: whose address it is, for the error.
        listen: from now on connections wait to be accepted, and nobody else can have the address. False
            for a program that binds the same address itself.

    Raises:
        AddressInUse: the port is taken.
        GymError: there is no such host, or the port may not be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise GymError(f"{name}: host {host!r}: {error.strerror or error}") from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        if listen:
            bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(f"{name}: port {port} of {host} is in use", name, port) from None
        raise GymError(f"{name}: {host}:{port} can't be bound: {error.strerror or error}") from None
    return bound


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`: 127.0.0.0/8, ::1 or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """The host at which this machine reaches a server bound to `host`."""
    return _EVERYWHERE.get(host, host)


def http_url(host: str, port: int) -> str:
    """The root URL of a server."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


BACKLOG = 65_535
"""Connections that may wait to be accepted; the system lowers it to its own limit (on Linux
`net.core.somaxconn`). A connection beyond that is reset, and its request with it."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - looked up, not bound
