"""One model endpoint: bounded retries, a circuit breaker, and errors that say what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeVar

from nemo_gym.transport.breaker import Breaker
from nemo_gym.transport.exchange import Connections, NoAnswer, Reply, Timeouts, base_url
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import (
    GymError,
    ModelDenied,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnreachable,
    RateLimited,
)

T = TypeVar("T")


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
        self._breaker = Breaker(threshold=self._retry.threshold, patience=self._retry.budget)
        all_headers = {"content-type": "application/json", **(headers or {})}
        if api_key:
            all_headers["authorization"] = f"Bearer {api_key}"
        root = self.url.removesuffix("/v1")
        self._prefix = self.url[len(root) :]
        self._connections = Connections(root, headers=all_headers, timeouts=timeouts)

    async def post(self, path: str, body: bytes, parse: Callable[[bytes], T], *, at_root: bool = False) -> T:
        """The parsed answer to one POST. `parse` raises ValueError for an answer that makes no sense, which
        counts as a failed attempt like any other. `at_root` is for routes that lie beside `/v1`.

        Raises:
            ModelError: the subclass says how the last attempt failed.
        """
        give_up = monotonic() + self._retry.budget
        where = path if at_root else self._prefix + path
        failures = 0
        while True:
            if self._breaker.is_open:
                await self._admit(give_up)
            retry_after = None
            try:
                reply = await self._connections.exchange("POST", where, body)
                if reply.status == 200:
                    result = parse(reply.content)
                    self._breaker.succeeded()
                    return result
                retry_after = reply.retry_after
                error = _status_error(self.url, reply.status, reply.content)
                error.retry_after = retry_after
            except NoAnswer as problem:
                if problem.late:
                    error = ModelTimeout(f"{self.url} did not answer in time: {problem}")
                else:
                    error = ModelUnreachable(f"{self.url}: {problem}")
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
        await self.get("/models")

    async def get(self, path: str, *, at_root: bool = False) -> Reply:
        """The answer to one GET, whatever its status; `at_root` is as for `post`.

        Raises:
            GymError: nobody answers at the URL.
        """
        try:
            where = path if at_root else self._prefix + path
            return await self._connections.exchange("GET", where, within=10)
        except NoAnswer as error:
            raise GymError(f"no model endpoint at {self.url}: {error}") from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connections.aclose()

    async def _admit(self, give_up: float) -> None:
        try:
            await self._breaker.admit(give_up)
        except NoAnswer as error:
            raise ModelUnreachable(str(error)) from None

    def _learn_from(self, error: ModelError) -> None:
        if isinstance(error, RateLimited | ModelTimeout) or error.http_status == 503:
            self.pushbacks += 1
        if isinstance(error, RateLimited | ModelRejected | ModelDenied):
            self._breaker.succeeded()
        else:
            self._breaker.failed(str(error))


def check_url(url: str) -> str:
    """A base URL without a trailing slash; `/v1` is added to a bare host.

    Raises:
        UsageError: it is not an http(s) URL with a host.
    """
    base = base_url(url, "model", "http://localhost:8000/v1")
    for suffix in ("/chat/completions", "/responses"):
        base = base.removesuffix(suffix)
    return base if base.count("/") > 2 else f"{base}/v1"


_OVERFLOW_SIGNS = (
    "context length",
    "context_length",
    "maximum context",
    "context window",
    "max_tokens",
    "prompt is too long",
)


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
