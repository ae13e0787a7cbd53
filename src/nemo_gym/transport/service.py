"""The client of servers that speak the gym's own protocol: JSON routes and cookies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Final

from nemo_gym.transport.breaker import Breaker
from nemo_gym.transport.exchange import MAX_ANSWER, Body, Connections, NoAnswer, Reply, Timeouts, base_url
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import GymError, RolloutError, ServerTimeout, ServerUnreachable

PATIENCE: Final = Retry(attempts=8, budget=15.0, base=0.2, cap=5.0)
"""Long enough for a server to be restarted."""


class Service:
    """A resources server or an agent server at a URL.

    Args:
        what: the kind of server, for messages.
        token: sent as a bearer token.
    """

    def __init__(
        self,
        url: str,
        what: str,
        *,
        token: str = "",
        timeouts: Timeouts | None = None,
        retry: Retry = PATIENCE,
    ) -> None:
        self.url = base_url(url, what, "http://127.0.0.1:8001")
        self._what = what
        self._retry = retry
        self._breaker = Breaker(patience=retry.budget)
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        # Common servers close a connection that has been idle for 5 seconds. The gym's own servers use plain
        # HTTP, without a proxy; a server behind TLS may also be behind a proxy.
        self._connections = Connections(
            self.url, headers=headers, timeouts=timeouts, max_answer=MAX_ANSWER, idle=4.0,
            direct=self.url.startswith("http://"),
        )  # fmt: skip

    async def post(
        self,
        path: str,
        body: Body,
        *,
        cookies: dict[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        within: float | None = None,
        max_answer: int | None = None,
    ) -> Reply:
        """The answer to one POST, with any status. `cookies` are sent and updated by the answer.
        `headers` are sent beside those of the service, or in their place.

        A request that the server may have begun is sent again only if it is `repeatable`: then also after
        lost connections, 429, 502, 503 and 504. `within` (seconds of one attempt) and `max_answer` (bytes)
        replace the limits of the service.

        Raises:
            ServerTimeout: no answer in time.
            ServerUnreachable: no connection could be made or kept.
        """
        give_up = monotonic() + self._retry.budget
        jar = {} if cookies is None else cookies
        failures = 0
        while True:
            reply, fault = None, None
            if self._breaker.is_open:
                await self._admit(give_up)
            own = dict(headers or {})
            if jar:
                own["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
            try:
                reply = await self._connections.exchange(
                    "POST", path, body, headers=own, within=within, max_answer=max_answer
                )
                self._breaker.record_success()
                jar.update(reply.cookies)
                again = repeatable and reply.status in _BUSY
            except NoAnswer as problem:
                self._breaker.record_failure(str(problem))
                kind = ServerTimeout if problem.late else ServerUnreachable
                fault = kind(f"{self._what} {self.url}{path}: {problem}")
                again = repeatable or not problem.sent
            failures += 1
            wait = self._retry.wait(failures, reply.retry_after if reply else None)
            if again and failures < self._retry.attempts and monotonic() + wait <= give_up:
                await asyncio.sleep(wait)
            elif fault is not None:
                raise fault
            elif reply is not None:
                return reply

    async def get(self, path: str) -> Reply:
        """The answer to one GET, with any status.

        Raises:
            GymError: no server answers at the URL, or it refuses the token.
        """
        try:
            reply = await self._connections.exchange("GET", path, within=10)
        except NoAnswer as error:
            raise GymError(f"no {self._what} at {self.url}: {error}") from None
        if reply.status == 401:
            raise GymError(f"the {self._what} at {self.url} asks for another token").about("server_token")
        return reply

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connections.aclose()

    async def _admit(self, give_up: float) -> None:
        try:
            await self._breaker.admit(give_up)
        except NoAnswer as error:
            raise ServerUnreachable(f"{self._what} {self.url} has been {error}") from None


async def ask_for_metrics(service: Service, body: Body) -> bytes:
    """The answer of a server to `POST /aggregate_metrics`.

    Raises:
        RolloutError: the server does not answer, or answers with an error.
    """
    path = "/aggregate_metrics"
    reply = await service.post(path, body, repeatable=True, within=600.0, max_answer=_MAX_METRICS)
    if not 200 <= reply.status < 300:
        raise refused(RolloutError, service, path, reply)
    return reply.content


def refused(kind: type[RolloutError], service: Service, path: str, reply: Reply) -> RolloutError:
    """The failure for an answer with an error status."""
    body = reply.text[:2000]
    text = " ".join(body.split())[:300] or "(empty body)"
    message = f"{service.url}{path} answered HTTP {reply.status}: {text}"
    return kind(message, http_status=reply.status, body=body)


_MAX_METRICS: Final = 256 * 2**20
"""Bytes of the answer; a task takes about 800."""
_BUSY: Final = frozenset({429, 502, 503, 504})
