"""Chooses the proxy of a request from the environment variables that curl reads."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from nemo_gym.wire.errors import UsageError


class Proxy(NamedTuple):
    """A proxy and the environment variable that names it."""

    url: str
    variable: str

    def __str__(self) -> str:
        """`proxy.example:3128 (HTTPS_PROXY)`: without the credentials that the URL may hold."""
        return f"{urlsplit(self.url).netloc.rpartition('@')[2]} ({self.variable})"


def proxy_of(url: str) -> Proxy | None:
    """The proxy for a URL; None for a direct connection. URLs of this machine, by a loopback address or by
    its name, never have one.

    Raises:
        UsageError: a variable holds something else than the URL of a proxy.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    if is_loopback(host) or host.lower() == socket.gethostname().lower():
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if value := os.environ.get(variable, "").strip():
                return None if _is_exception(host) else _proxy(value, variable)
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is certainly this machine: `localhost` and its other common names, names below it,
    127.0.0.0/8 in any notation, ::1, and the addresses that mean any interface."""
    name = host.lower()
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    address = _address(name)
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def _proxy(value: str, variable: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0 and parts.scheme in _SCHEMES
        # An `@` after host and port is part of a password with a slash, `?` or `#` that is not quoted.
        is_valid = is_valid and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    except ValueError:
        is_valid = False
    if not is_valid:
        raise UsageError(
            f"{variable}: not the URL of a proxy: expected something like http://proxy.example:3128"
        )
    return Proxy(url, variable)


def _is_exception(host: str) -> bool:
    """Whether NO_PROXY names the host: itself, a domain that it is in, its address, or a network."""
    text = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if text.strip() == "*":
        return True
    address = _address(host)
    entries = (entry.lower() for entry in _SEPARATORS.split(text) if entry)
    if address is not None:
        return any(_is_in(address, entry) for entry in entries)
    domains = (entry.removesuffix(".").removeprefix(".") for entry in entries)
    return any(domain and f".{host.lower()}".endswith(f".{domain}") for domain in domains)


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    network = entry.replace("[", "").replace("]", "")
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    if not host[:1].isdigit():
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


_LOCAL_NAMES: Final = frozenset(
    {"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}
)
"""As distributions write them into `/etc/hosts`."""
_SCHEMES: Final = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_SEPARATORS: Final = re.compile(r"[\s,]+")
