"""Protects servers from web pages: the browser of a user can reach the servers on loopback.

A page can send requests to any address, can give its own host name the address of this machine, and can send
bodies that its browser regards as harmless. Such requests are refused whether or not a token is set.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.sockets import is_loopback
from nemo_gym.wire.errors import UsageError

ALLOWED_HOSTS: Final = "allowed_hosts"
"""The setting with more host names of the servers."""
FILE: Final = b"application/octet-stream"
"""The content type of a body that is a file."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address in a Host header or an origin."""

    name: str
    """In lower case, without brackets and without the dot at the end; an IP address in its short form."""
    port: str
    """Empty if there is no port."""

    @classmethod
    def read(cls, text: str) -> Address | None:
        """The address in `name`, `name:port` or `[IPv6]:port`; None for other text."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            return None
        return cls(plain_name(match["v6"] or match["name"]), match["port"] or "")


class WebPageGuard:
    """ASGI middleware: refuses requests that a page of another origin can send.

    It answers 403 to an unknown host name and to another origin, and 415 to a body that is not
    `application/json`: a browser sends such a body without a preflight request.

    Args:
        bound: the address that the server is bound to.
        names: more host names of the server.
        files: whether a body may also be `application/octet-stream`, which a browser sends only after a
            preflight request.
    """

    def __init__(
        self, app: ASGIApp, *, bound: str = "127.0.0.1", names: Iterable[str] = (), files: bool = False
    ) -> None:
        self.app = app
        self._kinds = frozenset({b"application/json", *([FILE] if files else [])})
        self._bound_everywhere = bound in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
        own = [*names, bound] if is_loopback(bound) else [*names, bound, socket.gethostname()]
        self._names = frozenset(plain_name(name) for name in own if name)
        self._host = lru_cache(maxsize=_REMEMBERED)(self._read_host)
        self._is_own_origin = lru_cache(maxsize=_REMEMBERED)(_is_origin_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (refusal := self._refusal(scope)) is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, why = refusal
            await JsonResponse({"detail": why}, status, _CLOSE)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the reason of a refusal; None for a request that may pass."""
        pairs = scope["headers"]
        headers: dict[bytes, bytes] = dict(pairs)
        host = headers.get(b"host", b"")[:_LONGEST]
        if len(headers) < len(pairs) and _repeats(pairs):
            return 400, f"one of the headers {', '.join(_ONCE_NAMES)} occurs more than once"
        address, is_known = self._host(host)
        if address is None or not (is_known or self._is_local(address, scope)):
            return 403, _UNKNOWN_HOST.format(host.decode("latin-1")[:_SHOWN], ALLOWED_HOSTS)
        origin = headers.get(b"origin")
        if origin is not None:
            if not self._is_own_origin(origin[:_LONGEST], address):
                return 403, _FOREIGN.format(origin.decode("latin-1")[:_SHOWN])
        elif headers.get(b"sec-fetch-site", b"none") not in _OWN_SITES and not _is_visit(scope, headers):
            return 403, _FOREIGN.format("another site")
        if scope.get("method", "GET") in _WITHOUT_BODY:
            return None
        kind = headers.get(b"content-type")
        if kind in self._kinds or not _has_body(headers) or _is_json(kind):
            return None
        return 415, "a body must be JSON, sent with the header Content-Type: application/json"

    def _read_host(self, value: bytes) -> tuple[Address | None, bool]:
        """The address in a Host header, and whether it always is an address of this server."""
        address = Address.read(value.decode("latin-1").strip())
        if address is None:
            return None, False
        return address, address.name in self._names or is_loopback(address.name)

    def _is_local(self, address: Address, scope: Scope) -> bool:
        """Whether a server that is bound to all addresses received the request at this address."""
        server = scope.get("server")
        return bool(self._bound_everywhere and server and address.name == plain_name(server[0]))


def allowed_hosts(tree: Mapping[str, Any]) -> list[str]:
    """The host names that a configuration allows.

    Raises:
        UsageError: the setting is not a list of names.
    """
    names: Any = tree.get(ALLOWED_HOSTS) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[Any]", names)):
        raise UsageError(f"{ALLOWED_HOSTS}: expected a list of host names, for instance [gym.example.org]")
    return cast("list[str]", names)


def plain_name(host: str) -> str:
    """A host name or IP address in a form for comparison."""
    name = host.strip("[]").lower().removesuffix(".")
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


_ADDRESS: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES: Final = frozenset({b"same-origin", b"none"})
_ONCE: Final = frozenset({b"host", b"origin", b"content-type", b"content-length", b"sec-fetch-site"})
_ONCE_NAMES: Final = sorted(name.decode() for name in _ONCE)
_CLOSE: Final = {"connection": "close"}
"""The body of a refused request is not read, so its connection can't be used again."""
_REMEMBERED: Final = 1024
_LONGEST: Final = 300
"""Characters of a host or an origin; a longer one is not valid and not cached."""
_SHOWN: Final = 100
_UNKNOWN_HOST: Final = (
    "this server does not go by the host name {!r}: use the address it is bound to, or add the name to the "
    "setting {}"
)
_FOREIGN: Final = "web pages may not use this server, and this request comes from one of {}"


def _repeats(pairs: Iterable[tuple[bytes, bytes]]) -> bool:
    names = [name for name, _ in pairs if name in _ONCE]
    return len(set(names)) < len(names)


def _is_origin_of(origin: bytes, host: Address) -> bool:
    """Whether an origin is this server."""
    scheme, separator, authority = origin.decode("latin-1").strip().lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    page = Address.read(authority) if separator and default else None
    if page is None:
        return False
    same_name = page.name == host.name or (is_loopback(page.name) and is_loopback(host.name))
    return same_name and (page.port or default) == (host.port or default)


def _is_visit(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a user follows a link to this server. The page with the link can't read the answer."""
    return (
        scope.get("method") == "GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0").strip(b"0") != b"" or b"transfer-encoding" in headers


def _is_json(kind: bytes | None) -> bool:
    essence = (kind or b"").partition(b";")[0].strip().lower()
    return essence == b"application/json" or (
        essence.startswith(b"application/") and essence.endswith(b"+json") and b"," not in essence
    )
