"""The client of one model endpoint: bounded retries, a circuit breaker and typed errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, TypeVar

from nemo_gym.transport.breaker import Breaker
from nemo_gym.transport.exchange import Connections, NoAnswer, Reply, Timeouts, base_url
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import (
    ContextOverflow,
    GymError,
    ModelDenied,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnreachable,
    RateLimited,
    SessionBudgetExhausted,
    chain,
)

T = TypeVar("T")


MAX_ANSWER: Final = 256 << 20
"""Bytes of an answer, unpacked: room for a million tokens with their ids and probabilities."""


class Endpoint:
    """A base URL that JSON is posted to; `direct` ignores the proxies of the environment variables."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        direct: bool = False,
    ) -> None:
        self.url = check_url(url)
        self.pushbacks = 0
        """Number of answers 429 and 503 and of timeouts so far."""
        self._retry = retry or Retry()
        self._breaker = Breaker(threshold=self._retry.threshold, patience=self._retry.budget)
        all_headers = {"content-type": "application/json", **(headers or {})}
        if api_key:
            all_headers["authorization"] = f"Bearer {api_key}"
        root = self.url.removesuffix("/v1")
        self._prefix = self.url[len(root) :]
        self._connections = Connections(
            root, headers=all_headers, timeouts=timeouts, max_answer=MAX_ANSWER, direct=direct
        )

    async def post(self, path: str, body: bytes, parse: Callable[[bytes], T], *, at_root: bool = False) -> T:
        """The parsed answer to one POST. `parse` raises ValueError for an answer that makes no sense, which
        counts as a failed attempt. `at_root` is for routes beside `/v1`.

        When the caller cancels, the last failed attempt is the cause of the cancellation (`failure_before`).

        Raises:
            ModelError: the subclass says how the last attempt failed.
        """
        give_up = monotonic() + self._retry.budget
        where = path if at_root else self._prefix + path
        failures = 0
        error: ModelError | None = None
        try:
            while True:
                if self._breaker.is_open:
                    await self._admit(give_up)
                try:
                    result = await self._attempt(where, body, parse)
                except ModelError as failure:
                    error = failure
                else:
                    self._breaker.record_success()
                    return result
                failures += 1
                self._count(error)
                if error.terminal or isinstance(error, ModelDenied):
                    raise error
                wait = self._retry.wait(failures, error.retry_after)
                if failures >= self._retry.attempts or monotonic() + wait > give_up:
                    error.args = (f"{error} (gave up after {failures} attempt{'s' if failures > 1 else ''})",)
                    raise error
                await asyncio.sleep(wait)
        except asyncio.CancelledError as cancelled:
            cancelled.__cause__ = error
            raise

    async def _attempt(self, where: str, body: bytes, parse: Callable[[bytes], T]) -> T:
        try:
            reply = await self._connections.exchange("POST", where, body)
        except NoAnswer as problem:
            if problem.late:
                raise ModelTimeout(f"{self.url} did not answer in time: {problem}") from None
            raise ModelUnreachable(f"{self.url}: {problem}") from None
        if reply.status != 200:
            error = _status_error(self._place, reply.status, reply.content)
            error.retry_after = reply.retry_after
            raise error
        try:
            return parse(reply.content)
        except ValueError as problem:
            from nemo_gym.transport.refusals import error_inside

            if error := error_inside(reply.content):
                raise _status_error(self._place, *error) from None
            message = f"{self.url} answered with something unusable: {problem}"
            raise ModelError(message, http_status=200) from None

    @property
    def _place(self) -> str:
        """The URL, and the proxy that may have answered in its place."""
        proxy = self._connections.proxy
        return self.url if proxy is None else f"{self.url} (through the proxy {proxy})"

    async def check(self) -> None:
        """Check that a server answers at the URL, with any status. The error of a proxy is no answer.

        Raises:
            GymError: no server answers.
        """
        reply = await self.get("/models")
        if self._connections.proxy is not None and reply.status in _PROXY_STATUSES:
            raise GymError(f"no model endpoint at {self._place}: HTTP {reply.status}")

    async def get(self, path: str, *, at_root: bool = False) -> Reply:
        """The answer to one GET, whatever its status; `at_root` is as for `post`.

        Raises:
            GymError: no server answers at the URL.
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

    def _count(self, error: ModelError) -> None:
        if isinstance(error, RateLimited | ModelTimeout) or error.http_status == 503:
            self.pushbacks += 1
        if isinstance(error, RateLimited | ModelRejected | ModelDenied):
            self._breaker.record_success()
        else:
            self._breaker.record_failure(str(error))


def failure_before(error: BaseException | None) -> ModelError | None:
    """The last failed attempt before a timeout or a cancellation."""
    for one in chain(error, lambda one: one.__cause__):
        if not isinstance(one, TimeoutError | asyncio.CancelledError):
            return one if isinstance(one, ModelError) else None
    return None


def check_url(url: str) -> str:
    """A base URL without a trailing slash; `/v1` is added to a bare host.

    Raises:
        UsageError: it is not an http(s) URL with a host.
    """
    base = base_url(url, "model", "http://localhost:8000/v1")
    for suffix in ("/chat/completions", "/responses"):
        base = base.removesuffix(suffix)
    return base if base.count("/") > 2 else f"{base}/v1"


def _status_error(url: str, status: int, content: bytes) -> ModelError:
    from nemo_gym.transport.refusals import is_denied, is_overflow

    body = content[:_BODY_BYTES].decode("utf-8", "replace")
    message = f"{url} answered HTTP {status}: {' '.join(body.split())[:300] or '(empty body)'}"
    if status == 429 and _BUDGET.search(content):
        return SessionBudgetExhausted(message, http_status=status, body=body)
    if is_overflow(status, content):
        return ContextOverflow(message, http_status=status, body=body)
    if 300 <= status < 400 or is_denied(status, content):
        message = f"{_DENIED.get(status, _ACCOUNT_DENIED)}: {message}"
        return ModelDenied(message, http_status=status, body=body)
    kind = RateLimited if status == 429 else ModelError if status in _RETRY_STATUSES else ModelRejected
    return kind(message, http_status=status, body=body)


_BODY_BYTES: Final = 2000
"""Bytes of the body of a refusal that are part of the error."""
_PROXY_STATUSES: Final = frozenset({407, 502, 503, 504})
_BUDGET: Final = re.compile(rb'"code"\s*:\s*"session_budget_exhausted"')
"""The code of NeMo Evaluator's adapter proxy."""
_RETRY_STATUSES: Final = frozenset({408, 409, 425, 429, *range(500, 600)})
_ACCOUNT_DENIED: Final = "the key or the account was refused"
_DENIED: Final = {
    401: "the API key was refused",
    402: "payment is required",
    403: "access was refused",
    404: "no such model or route",
    405: "no such route",
    407: "a proxy asks for a login",
    410: "no such model or route any more",
    **dict.fromkeys(range(300, 400), "the route is somewhere else"),
}
