"""One HTTP request and its answer, nothing tried twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.http import HeaderMap
from pyreqwest.request import RequestBuilder

from nemo_gym.wire.errors import UsageError

MAX_ANSWER: Final = 64 * 2**20
"""Bytes of an answer from a server that nobody vouches for."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `total` bounds one attempt from connecting to the last byte of the answer."""

    connect: float = 10.0
    read: float = 300.0
    total: float = 300.0

    @classmethod
    def of(cls, total: float | None) -> Timeouts:
        """The defaults, or everything bounded by one number."""
        return cls() if total is None else cls(connect=min(10.0, total), read=total, total=total)


class NoAnswer(Exception):
    """A request got no answer, or not a whole one."""

    def __init__(self, message: str, *, sent: bool, late: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        """False when the server has surely not seen the request: sending it again does nothing twice."""
        self.late = late
        """Whether time ran out."""


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: HeaderMap
    content: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the answer sets, by name, as they have to be sent back."""
        pairs = (line.partition(";")[0].partition("=") for line in self._texts("set-cookie"))
        return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to be left alone."""
        value = next(iter(self._texts("retry-after")), None)
        if value is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return None

    def _texts(self, name: str) -> list[str]:
        """A header's values; none when one of them is not text."""
        try:
            return self.headers.getall(name)
        except ValueError:
            return []


class Connections:
    """Connections to the server at a base URL, made when first needed.

    Args:
        headers: sent with every request.
        max_answer: bytes that an answer may have; None for any number.
        idle: seconds after which an unused connection is closed, so that it is us and not the server;
            None for the library's default.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_answer: int | None = None,
        idle: float | None = None,
    ) -> None:
        self.url = url
        self._headers = dict(headers or {})
        self._timeouts = timeouts or Timeouts()
        self._max_answer = max_answer
        self._idle = idle
        self._client: Client | None = None

    async def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> Reply:
        """Send one request.

        Args:
            within: seconds, in place of the total of every request.

        Raises:
            NoAnswer: there is no whole answer.
        """
        client = self._client or self._connect()
        try:
            request = client.request(method, self.url + path)
            if body is not None:
                request = request.body_bytes(body)
            if headers:
                request = request.headers(dict(headers))
            if within is not None:
                request = request.timeout(timedelta(seconds=within))
            if self._max_answer is not None:
                return await _bounded(request, self._max_answer)
            response = await request.build().send()
            return Reply(response.status, response.headers, (await response.bytes()).to_bytes())
        except RequestTimeoutError as error:
            # The library calls every timeout before the answer begins one of connecting.
            raise NoAnswer(_why(error), sent=True, late=True) from None
        except PyreqwestError as error:
            raise NoAnswer(_why(error), sent=not _is_unsent(error)) from None

    async def aclose(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _connect(self) -> Client:
        limits = self._timeouts
        builder = ClientBuilder().default_headers(self._headers).follow_redirects(False)
        builder = builder.connect_timeout(timedelta(seconds=limits.connect))
        builder = builder.read_timeout(timedelta(seconds=limits.read))
        if self._idle is not None:
            builder = builder.pool_idle_timeout(timedelta(seconds=self._idle))
        self._client = builder.timeout(timedelta(seconds=limits.total)).build()
        return self._client


def is_url(text: str) -> bool:
    """Whether it looks like the address of a server rather than a name or a path."""
    return text.startswith(("http://", "https://"))


def base_url(url: str, what: str, example: str) -> str:
    """A base URL without a trailing slash.

    Args:
        what: what is at the URL, for the error.

    Raises:
        UsageError: it is not an http(s) URL with a host, or it holds more than a host, a port and a path.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{what} URL {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{what} URL {url!r}: expected something like {example}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(f"{what} URL {parts.hostname!r}: credentials, query and fragment don't belong in it")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


async def _bounded(request: RequestBuilder, limit: int) -> Reply:
    async with request.build_streamed() as response:
        chunks: list[bytes] = []
        left = limit
        while (chunk := await response.body_reader.read_chunk()) is not None:
            chunks.append(chunk.to_bytes())
            left -= len(chunk)
            if left < 0:
                raise NoAnswer(f"the answer is larger than {limit} bytes", sent=True)
        return Reply(response.status, response.headers, b"".join(chunks))


def _is_unsent(error: PyreqwestError) -> bool:
    """The library's ConnectError also stands for connections that were lost after the request was sent."""
    return any(message == "client error (Connect)" for message in _messages(error))


def _why(error: PyreqwestError) -> str:
    messages = _messages(error)
    return messages[-1] if messages else error.message


def _messages(error: PyreqwestError) -> list[str]:
    """What happened, from the outermost cause to the innermost."""
    causes = (error.details.get("causes") or []) if isinstance(error, DetailedPyreqwestError) else []
    return [cause["message"] for cause in causes]
