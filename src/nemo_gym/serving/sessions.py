"""The signed cookie that carries a rollout's session id."""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import quote
from uuid import uuid4

import msgspec
from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.jsonl import decode, encode

SESSION_ID_KEY: Final = "session_id"
"""Where `request.session` holds the id."""


class SessionCookie:
    """ASGI middleware: gives every request a `session` with a `session_id`, and every answer the cookie.
    Errors have it too, because clients replace their cookies by those of the last answer.

    The cookie has the form of Starlette's `SessionMiddleware`. Its name is the server's label: browsers and
    cookie jars ignore the port, so the apps of one host need different names.
    """

    def __init__(self, app: ASGIApp, *, label: str, secret: Secret) -> None:
        self.app = app
        self.name = cookie_name(label)
        signer = TimestampSigner(secret.reveal(), salt=label)
        self._sign = signer.sign

        @lru_cache(maxsize=1 << 14)
        def read(value: str) -> bytes | None:
            try:
                return b64decode(signer.unsign(value))
            except (BadSignature, ValueError):
                return None

        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        value = HTTPConnection(scope).cookies.get(self.name)
        content = None if value is None or len(value) > _LONGEST else self._read(value)
        session = _session(content) if content is not None else None
        if value is not None and session is None:
            scope[_REFUSED] = True
        if session is None:
            session = {SESSION_ID_KEY: str(uuid4())}
        scope["session"] = session

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = encode(scope["session"])
                cookie = value if now == content else self._sign(b64encode(now)).decode()
                header = f"{self.name}={cookie}; path=/; httponly; samesite=lax"
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", header.encode())]
            await send(message)

        await self.app(scope, receive, with_cookie)


def cookie_name(label: str) -> str:
    """The cookie's name for a server with the label `ClassName___instance`, quoted as names need it."""
    return quote(label, safe="!#$&'*+^`|")


def session_id(scope: Scope) -> str:
    """The id in the caller's cookie, or a new id, which the answer's cookie will have."""
    return scope["session"][SESSION_ID_KEY]


def cookie_refused(scope: Scope) -> bool:
    """Whether the caller sent a cookie that this server didn't sign, for example before a restart."""
    return _REFUSED in scope


_LONGEST: Final = 4096
"""Characters of a cookie's value, the limit of browsers too."""
_REFUSED: Final = "nemo_gym.cookie_refused"


def _session(content: bytes) -> dict[str, Any] | None:
    try:
        session = decode(content)
    except msgspec.DecodeError:
        return None
    if not isinstance(session, dict) or SESSION_ID_KEY not in session:
        return None
    return cast("dict[str, Any]", session)
