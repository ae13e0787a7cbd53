"""One HTTP endpoint: timeouts, bounded retries, a circuit breaker, and errors that say what happened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TypeVar
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import DetailedPyreqwestError, PyreqwestError, RequestTimeoutError
from pyreqwest.http import HeaderMap

from nemo_gym.wire.errors import (
    GymError,
    ModelDenied,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnreachable,
    RateLimited,
    UsageError,
)

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Retry:
    """How long one call keeps trying: at most `attempts` tries, none started after `budget` seconds.

    Waits grow as `base * 2**n` up to `cap` seconds, drawn uniformly from the upper half ("equal jitter", AWS
    Architecture Blog 2015); a Retry-After header is a lower bound.
    """

    attempts: int = 6
    budget: float = 180.0
    base: float = 0.5
    cap: float = 30.0

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failed attempts."""
        step = min(self.cap, self.base * 2.0 ** (failures - 1))
        return max(random.uniform(step / 2, step), retry_after or 0.0)


class Endpoint:
    """A base URL that JSON is posted to."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.url = check_url(url)
        self.pushbacks = 0
        """429s, 503s and timeouts so far."""
        self._retry = retry or Retry()
        self._timeouts = timeouts or Timeouts()
        self._breaker = Breaker(patience=self._retry.budget)
        all_headers = {"content-type": "application/json", **(headers or {})}
        if api_key:
            all_headers["authorization"] = f"Bearer {api_key}"
        self._headers = all_headers
        self._client: Client | None = None

    async def post(self, path: str, body: bytes, parse: Callable[[bytes], T]) -> T:
        """The parsed answer to one POST. `parse` raises ValueError for an answer that makes no sense, which
        counts as a failed attempt like any other.

        Raises:
            ModelError: the subclass says how the last attempt failed.
        """
        give_up = monotonic() + self._retry.budget
        failures = 0
        while True:
            if self._breaker.is_open:
                await self._breaker.admit(give_up)
            retry_after = None
            try:
                response = await self._connected().post(self.url + path).body_bytes(body).build().send()
                status = response.status
                content = (await response.bytes()).to_bytes()
                if status == 200:
                    result = parse(content)
                    self._breaker.succeeded()
                    return result
                retry_after = _retry_after(response.headers)
                error = _status_error(self.url, status, content)
            except RequestTimeoutError as problem:
                error = ModelTimeout(f"{self.url} did not answer in time: {_why(problem)}")
            except PyreqwestError as problem:
                error = ModelUnreachable(f"{self.url}: {_why(problem)}")
            except ValueError as problem:
                error = ModelError(f"{self.url} answered with something unusable: {problem}", http_status=200)
            failures += 1
            self._learn_from(error)
            if error.terminal or isinstance(error, ModelDenied):
                raise error
            wait = self._retry.wait(failures, retry_after)
            if failures >= self._retry.attempts or monotonic() + wait > give_up:
                error.args = (f"{error} (gave up after {failures} attempt{'s' if failures > 1 else ''})",)
                raise error
            await asyncio.sleep(wait)

    async def check(self) -> None:
        """Make sure somebody answers HTTP at the URL; what they answer doesn't matter.

        Raises:
            GymError: nobody does.
        """
        try:
            await self._connected().get(self.url + "/models").timeout(timedelta(seconds=10)).build().send()
        except PyreqwestError as error:
            raise GymError(f"no model endpoint at {self.url}: {_why(error)}") from None

    async def aclose(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _learn_from(self, error: ModelError) -> None:
        if isinstance(error, RateLimited | ModelTimeout) or error.http_status == 503:
            self.pushbacks += 1
        if isinstance(error, RateLimited | ModelRejected | ModelDenied):
            self._breaker.succeeded()
        else:
            self._breaker.failed(str(error))

    def _connected(self) -> Client:
        if self._client is None:
            limits = self._timeouts
            builder = ClientBuilder().default_headers(self._headers).follow_redirects(False)
            builder = builder.connect_timeout(timedelta(seconds=limits.connect))
            builder = builder.read_timeout(timedelta(seconds=limits.read))
            self._client = builder.timeout(timedelta(seconds=limits.total)).build()
        return self._client


class Breaker:
    """Stops hammering an endpoint that is down: after `threshold` failures in a row, only one caller at a
    time tries, at growing intervals, and the others wait for its verdict.

    A caller waits no longer than its own deadline, and not at all once the endpoint has been down for
    `patience` seconds.
    """

    def __init__(self, *, threshold: int = 20, patience: float = 180.0) -> None:
        self.is_open = False
        self._threshold = threshold
        self._patience = patience
        self._failures = 0
        self._reason = ""
        self._opened_at = 0.0
        self._next_probe = 0.0
        self._interval = 1.0
        self._closed = asyncio.Event()

    async def admit(self, give_up: float) -> None:
        """Return when the caller may try.

        Raises:
            ModelUnreachable: it may not, for as long as it is prepared to wait.
        """
        while self.is_open:
            now = monotonic()
            if now >= self._next_probe:
                self._interval = min(30.0, self._interval * 2)
                self._next_probe = now + self._interval
                return
            if now - self._opened_at > self._patience or self._next_probe > give_up:
                down = now - self._opened_at
                raise ModelUnreachable(f"endpoint down for {down:.0f} s; its last failure: {self._reason}")
            try:
                async with asyncio.timeout(self._next_probe - now):
                    await self._closed.wait()
            except TimeoutError:
                continue

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._failures = 0
        if self.is_open:
            self.is_open = False
            self._closed.set()

    def failed(self, reason: str) -> None:
        """The endpoint did not answer, or not with anything useful."""
        self._failures += 1
        self._reason = reason
        if self._failures == self._threshold and not self.is_open:
            self.is_open = True
            self._closed.clear()
            self._opened_at = monotonic()
            self._interval = 1.0
            self._next_probe = self._opened_at + self._interval


def check_url(url: str) -> str:
    """A base URL without a trailing slash; `/v1` is added to a bare host.

    Raises:
        UsageError: it is not an http(s) URL with a host.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"model URL {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"model URL {url!r}: expected something like http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(f"model URL {parts.hostname!r}: credentials, query and fragment don't belong in it")
    path = parts.path.rstrip("/")
    for suffix in ("/chat/completions", "/responses"):
        path = path.removesuffix(suffix)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


_OVERFLOW_SIGNS = ("context length", "context_length", "maximum context", "context window", "max_tokens")


def is_context_overflow(error: ModelRejected) -> bool:
    """Whether a refusal means that the prompt no longer fits (CONTRACT 7.1)."""
    body = (error.body or "").lower()
    return error.http_status == 400 and any(sign in body for sign in _OVERFLOW_SIGNS)


_RETRIED = frozenset({408, 409, 425, 429, *range(500, 600)})
_DENIED = {401: "the API key was refused", 403: "access was refused", 404: "no such model or route"}


def _status_error(url: str, status: int, content: bytes) -> ModelError:
    body = content[:2000].decode("utf-8", "replace")
    said = f"{url} answered HTTP {status}: {' '.join(body.split())[:300] or '(empty body)'}"
    kind = RateLimited if status == 429 else ModelError if status in _RETRIED else ModelRejected
    if status in _DENIED:
        kind, said = ModelDenied, f"{_DENIED[status]}: {said}"
    return kind(said, http_status=status, body=body)


def _retry_after(headers: HeaderMap) -> float | None:
    value = headers.get("retry-after")
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


def _why(error: PyreqwestError) -> str:
    causes = (error.details.get("causes") or []) if isinstance(error, DetailedPyreqwestError) else []
    return causes[-1]["message"] if causes else error.message
