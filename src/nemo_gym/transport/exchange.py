"""One HTTP request and its answer, without retries."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import wreq

from nemo_gym.transport.proxies import Proxy, proxy_of
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:  # only the type stubs of the library have them
    from wreq.wreq import ClientConfig, Request

MAX_ANSWER: Final = 64 * 2**20
"""Bytes of an answer from an untrusted server."""


Body: TypeAlias = bytes | Callable[[], AsyncGenerator[bytes, str]]
"""The body of a request: bytes, or a function that returns its pieces from the beginning."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `total` bounds one attempt from connecting to the last byte of the answer."""

    connect: float = 10.0
    read: float = 300.0
    total: float = 300.0

    @classmethod
    def of(cls, total: float | None) -> Timeouts:
        """One number of seconds for all three limits; the defaults for None."""
        return cls() if total is None else cls(connect=min(10.0, total), read=total, total=total)


class NoAnswer(Exception):
    """A request got no answer, or not a whole one."""

    def __init__(self, message: str, *, sent: bool, late: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """The status of an answer that is not the expected one; 0 where there is none."""
        self.sent = sent
        """False when the server has certainly not seen the request, so that it is safe to send it again."""
        self.late = late
        """Whether the time ran out."""


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: wreq.HeaderMap
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
        """Seconds that the server asks clients to wait."""
        precise = next(iter(self._texts("retry-after-ms")), "")
        if precise.isdecimal():
            return float(precise) / 1000
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
        """The values of a header; empty when one of them is not text."""
        try:
            return [str(value, "utf-8") for value in self.headers.get_all(name)]
        except ValueError:
            return []


class Connections:
    """Connections to the server at a base URL, opened at the first request.

    Args:
        headers: sent with every request.
        max_answer: bytes that an answer may have; None for any number.
        idle: seconds after which an unused connection is closed here, before the server closes it; None for
            the library's default.
        direct: whether to ignore the proxies of the environment variables.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_answer: int | None = None,
        idle: float | None = None,
        direct: bool = False,
    ) -> None:
        self.url = url
        self.proxy: Proxy | None = None
        """The proxy for requests; set at the first request."""
        self._headers = dict(headers or {})
        self._timeouts = timeouts or Timeouts()
        self._max_answer = max_answer
        self._idle = idle
        self._direct = direct
        self._client: wreq.Client | None = None

    async def exchange(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
        max_answer: int | None = None,
    ) -> Reply:
        """Send one request.

        Args:
            within: seconds for this request, in place of the usual total.
            max_answer: bytes of this answer, in place of the usual limit.

        Raises:
            NoAnswer: there is no complete answer.
            UsageError: an environment variable for a proxy holds something else.
        """
        client = self._client or self._connect()
        request: Request = {}
        if body is not None:
            request["body"] = body() if callable(body) else body
        if headers:
            request["headers"] = headers
        if within is not None:
            request["timeout"] = timedelta(seconds=within)
        try:
            response = await client.request(_METHODS[method], self.url + path, **request)
            reply_headers, length = response.headers, response.content_length
            limit = max_answer or self._max_answer
            if limit is None or (
                length is not None and length <= limit and "content-encoding" not in reply_headers
            ):
                content = bytes(await response.bytes())
            else:
                content = await _read_bounded(response, limit)
        except _FAILURES as error:
            raise _no_answer(error, self.proxy) from None
        return Reply(response.status.as_int(), reply_headers, content)

    async def lines(self, path: str) -> AsyncGenerator[bytes]:
        """The lines of the answer to a GET as they come, with their newlines.

        Raises:
            NoAnswer: there is no answer, its status is not 200, or it ends within a line.
        """
        client = self._client or self._connect()
        rest = b""
        try:
            response = await client.request(_METHODS["GET"], self.url + path)
            status = response.status.as_int()
            if status != 200:
                text = bytes(await response.bytes())[:400].decode("utf-8", "replace")
                raise NoAnswer(f"status {status}: {text}", sent=True, status=status)
            async with response.stream() as stream:
                async for chunk in stream:
                    if not isinstance(chunk, wreq.HeaderMap):
                        *whole, rest = (rest + bytes(chunk)).split(b"\n")
                        for line in whole:
                            yield line + b"\n"
        except _FAILURES as error:
            raise _no_answer(error, self.proxy) from None
        if rest:
            raise NoAnswer("the answer ends within a line", sent=True)

    async def aclose(self) -> None:
        """Close every connection."""
        self._client = None

    def _connect(self) -> wreq.Client:
        limits = self._timeouts
        roots = os.environ.get("SSL_CERT_FILE")
        self.proxy = None if self._direct else proxy_of(self.url)
        settings: ClientConfig = {
            "runtime": _runtime(),
            "headers": self._headers,
            "redirect": wreq.Policy.none(),
            "connect_timeout": timedelta(seconds=limits.connect),
            "read_timeout": timedelta(seconds=limits.read),
            "timeout": timedelta(seconds=limits.total),
            "dns_options": wreq.DnsOptions(system_dns=True),
            "tls_verify": Path(roots) if roots else True,
        }
        settings.update(_proxy_settings(self.proxy))
        if self._idle is not None:
            settings["pool_idle_timeout"] = timedelta(seconds=self._idle)
        self._client = wreq.Client(**settings)
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


def _proxy_settings(proxy: Proxy | None) -> ClientConfig:
    """Without a proxy, `no_proxy` keeps the library from reading the environment variables."""
    return {"no_proxy": True} if proxy is None else {"proxies": [wreq.Proxy.all(proxy.url)]}


@cache
def _runtime() -> wreq.Runtime:
    """The one thread for all connections of this process."""
    return wreq.Runtime(workers=1, work_steal=False)


async def _read_bounded(response: wreq.Response, limit: int) -> bytes:
    """The body of a response whose length is not known beforehand."""
    chunks: list[memoryview] = []
    remaining = limit
    async with response.stream() as stream:
        async for chunk in stream:
            if not isinstance(chunk, wreq.HeaderMap):
                chunks.append(chunk)
                remaining -= len(chunk)
                if remaining < 0:
                    raise NoAnswer(f"the answer is larger than {limit} bytes", sent=True)
    return b"".join(chunks)


def _no_answer(error: Exception, proxy: Proxy | None) -> NoAnswer:
    """The error in plain words. The library prints its nested errors; the innermost comes last."""
    text = str(error)[:4000]
    explanation = next((words for sign, words in _SIGNS.items() if sign in text), None)
    details = _ERROR_TEXT.findall(text)
    message = explanation or (details[-1] if details else type(error).__name__)
    return NoAnswer(
        message if proxy is None else f"through the proxy {proxy}: {message}",
        sent=not isinstance(error, _UNSENT),
        late=isinstance(error, wreq.TimeoutError) or "TimedOut" in text,
    )


_METHODS: Final = {"GET": wreq.Method.GET, "POST": wreq.Method.POST}
_UNSENT: Final = (wreq.BuilderError, wreq.ConnectionError, wreq.ProxyConnectionError, RuntimeError)
"""`RuntimeError`: a header that can't be one."""
_FAILURES: Final = (
    *_UNSENT, wreq.BodyError, wreq.ConnectionResetError, wreq.DecodingError, wreq.RequestError,
    wreq.TimeoutError, wreq.TlsError,
)  # fmt: skip
UNKNOWN_HOST: Final = "the name of the host is not known"
"""Part of the message about an unknown host, for which waiting is no use."""
_SIGNS: Final = {
    "TimedOut": "no answer in time",
    "IncompleteMessage": "the connection was closed before the answer",
    "UnexpectedEof": "the connection was closed within the answer",
    "Parse(": "the answer is not HTTP",
    "InvalidHeader": "a header can't be sent as it is",
    "dns error": UNKNOWN_HOST,
    "ProxyAuthRequired": "the proxy asks for a login",
    "TunnelUnsuccessful": "the proxy refuses to connect to the host",
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not trusted (SSL_CERT_FILE names other roots)",
}
_ERROR_TEXT: Final = re.compile(r'\b(?:message|reason|error): "([^"]{1,200})"')
