"""The limits of one request: bytes, values, nesting and seconds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.serving.browsers import FILE
from nemo_gym.wire.errors import UsageError

SETTING: Final = "request_limits"
"""The setting with the limits of all servers, by the names of the fields of `Limits`."""

KEYS_EACH: Final = 8
"""Keys for each array or object that `body_keys` does not count."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits. The defaults allow prompts of a million tokens with their ids.

    The memory for a body depends on its values: an array or object takes about 30 times the bytes of its
    text, a number or short text 10 times.
    """

    body_bytes: int = 64 << 20
    body_values: int = 4_000_000
    """All values of a JSON body: numbers, texts, arrays, objects."""
    body_containers: int = 1_000_000
    """Arrays and objects of a JSON body."""
    body_keys: int = 500_000
    """Keys of a JSON body beyond `KEYS_EACH` for each array and object: the decoding of an object with
    millions of different keys takes seconds in one step."""
    header_bytes: int = 64 << 10
    """Names and values of all request headers together."""
    nesting: int = 128
    """Levels of arrays and objects in a JSON body."""
    request_s: float = 7200.0
    """Seconds from the first byte of a request to the start of its answer."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Limits:
        """The limits of a configuration, with defaults.

        Raises:
            UsageError: a limit is unknown or has the wrong type.
        """
        try:
            return msgspec.convert(tree.get(SETTING) or {}, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"{SETTING}: {error}") from None


class LimitRequests:
    """ASGI middleware: answers 431, 413, 422 and 504 beyond the limits.

    A body is checked as it arrives, before it is decoded. The middleware raises `HTTPException`, which other
    middleware turns into an answer.

    Args:
        file_bytes: the limit of a body that is a file (`application/octet-stream`), in which no values are
            counted; 0 treats it like every other body.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, file_bytes: int = 0) -> None:
        self.app = app
        self.limits = limits
        self._file_bytes = file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits = self.limits
        is_file = self._file_bytes > 0 and (b"content-type", FILE) in scope["headers"]
        body = _File(self._file_bytes) if is_file else _Body(limits)
        self._check_headers(scope, body)
        has_answer = False

        async def receive_and_count() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.add(message.get("body", b""), more=message.get("more_body", False))
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal has_answer
            if not has_answer:
                has_answer = True
                deadline.reschedule(None)
            await send(message)

        deadline = asyncio.timeout(limits.request_s)
        try:
            async with deadline:
                await self.app(scope, receive_and_count, send_and_note)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise HTTPException(504, f"no answer within {limits.request_s:g} seconds") from None

    def _check_headers(self, scope: Scope, body: _File | _Body) -> None:
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length":
                body.check_size(_length(value))
        if size > self.limits.header_bytes:
            raise HTTPException(431, f"the request headers are larger than {self.limits.header_bytes} bytes")


class _File:
    """The part of a file that has arrived."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0

    def add(self, part: bytes, *, more: bool) -> None:
        """Add the next part.

        Raises:
            HTTPException: 413, the file is too large.
        """
        self._bytes += len(part)
        self.check_size(self._bytes)

    def check_size(self, size: int) -> None:
        if size > self._most:
            raise HTTPException(413, f"the file is larger than {self._most} bytes")


class _Body:
    """The part of a body that has arrived.

    Values are counted only once there are enough bytes for too many values.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[bytes] = []
        self._bytes = 0
        self._counted = 0
        self._containers = 0
        self._commas = 0
        self._colons = 0
        self._quotes = 0

    def add(self, part: bytes, *, more: bool) -> None:
        """Add the next part.

        Raises:
            HTTPException: 413 or 422, the body is beyond a limit.
        """
        limits = self._limits
        self._bytes += len(part)
        self.check_size(self._bytes)
        self._parts.append(part)
        if self._bytes > min(limits.body_containers, limits.body_values, limits.body_keys):
            self._count()
        if not more:
            self._check_keys()
            whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            if nests_deeper(whole, limits.nesting):
                raise _too_deep(limits)
            self._parts = []

    def check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise _too_large(self._limits)

    def _count(self) -> None:
        limits = self._limits
        for part in self._parts[self._counted :]:
            self._containers += part.count(b"[") + part.count(b"{")
            self._commas += part.count(b",")
            self._colons += part.count(b":")
            self._quotes += part.count(b'"')
            if self._containers > limits.body_containers:
                raise _too_many("arrays and objects", "body_containers", limits.body_containers)
            if self._commas + self._containers > limits.body_values:
                raise _too_many("values", "body_values", limits.body_values)
        self._counted = len(self._parts)

    def _check_keys(self) -> None:
        """Each key takes a colon, two quotes, and a comma or the start of its object."""
        keys = min(self._colons, self._quotes // 2, self._commas + self._containers)
        limit = self._limits.body_keys
        if keys > limit + KEYS_EACH * self._containers:
            raise _too_many("keys", "body_keys", limit)


def nests_deeper(body: bytes, levels: int) -> bool:
    """Whether JSON text has more levels of arrays and objects than `levels`; undefined for other text."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(levels):
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            break
        brackets = inner
    return bool(brackets)


_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or the start of one without an end. A search from each quote inside would take quadratic time."""
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _length(value: bytes) -> int:
    return int(value) if value.isdigit() else 0


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(
        413, f"the request body is larger than {limits.body_bytes} bytes ({_raise('body_bytes')})"
    )


def _too_many(what: str, field: str, limit: int) -> HTTPException:
    return HTTPException(413, f"the request body has more than {limit} {what} ({_raise(field)})")


def _too_deep(limits: Limits) -> HTTPException:
    message = f"arrays and objects nest more than {limits.nesting} deep ({_raise('nesting')})"
    problem = {"type": "json_too_deep", "loc": ["body"], "msg": message, "input": None}
    return HTTPException(422, cast("Any", [problem]))


def _raise(field: str) -> str:
    return f"{SETTING}.{field} sets the limit"
