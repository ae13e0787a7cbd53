"""Finds the agent servers of a running system and sends rows to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.head import find_agents
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import (
    GymError,
    RolloutError,
    ServerTimeout,
    ServerUnreachable,
    UsageError,
    did_you_mean,
)
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.rollout import failure_of
from nemo_gym.wire.task import Row, named_agent
from nemo_gym.wire.validation import json_object

ROLLOUT_S: Final = 86_400.0
"""Seconds a rollout may take; agents have limits of their own, which are shorter."""


class RolloutFailed(GymError):
    """A rollout has no score. It can be pickled, so it crosses process borders."""

    def __init__(self, message: str, status: int, response_content: bytes = b"") -> None:
        super().__init__(message, status, response_content)
        self.status = status
        """HTTP status: from 500 for what another try may mend, 400 to 499 for what is wrong with the row."""
        self.response_content = response_content
        """What the agent server answered."""

    def __str__(self) -> str:
        return self.args[0]


class AgentServers:
    """The agents that a head server knows, used in one event loop.

    Args:
        token: sent as a bearer token; empty for none.
        known: agent servers by name, in place of those of the head server.
    """

    def __init__(self, head_url: str, token: str, known: Mapping[str, Service] | None = None) -> None:
        self._head_url = head_url
        self._token = token
        self._known = known
        self._services: Mapping[str, Service] = {}
        self._looking = asyncio.Lock()

    async def run(self, row: Row) -> dict[str, Any]:
        """One rollout of a row by the agent that it names.

        Raises:
            RolloutFailed: it has no score.
            UsageError: the row names no agent, or none that there is.
            GymError: there is no head server.
        """
        name = named_agent(row)
        if not name:
            raise UsageError('the row names no agent: it needs agent_ref: {"name": ...}')
        service = await self._of(name)
        try:
            reply = await service.post("/run", encode(row))
        except (ServerUnreachable, ServerTimeout) as error:
            # The next row asks the head server again: it may have been restarted with other addresses.
            self._services = {}
            raise RolloutFailed(str(error), 504 if isinstance(error, ServerTimeout) else 503) from None
        if not 200 <= reply.status < 300:
            text = " ".join(reply.text[:300].split()) or "(empty body)"
            message = f"{service.url}/run answered HTTP {reply.status}: {text}"
            raise RolloutFailed(message, reply.status, reply.content)
        try:
            result = json_object(reply.content)
        except ValueError as error:
            raise RolloutFailed(f"{service.url}/run: {error}", 502, reply.content) from None
        if failure := failure_of(result):
            message = f"{failure.failure_class}: {str(failure) or 'no reason given'}"
            raise RolloutFailed(message, _status_of(failure), reply.content)
        return result

    async def _of(self, name: str) -> Service:
        if name not in self._services:
            async with self._looking:
                if name not in self._services:
                    self._services = await self._found()
        try:
            return self._services[name]
        except KeyError:
            hint = did_you_mean(name, self._services)
            raise UsageError(f"{self._head_url} has no agent {name!r}.{hint}") from None

    async def _found(self) -> Mapping[str, Service]:
        if self._known is not None:
            return self._known
        timeouts = Timeouts.of(ROLLOUT_S)
        urls = await find_agents(self._head_url, token=self._token)
        return {
            name: Service(url, f"agent {name!r} at", token=self._token, timeouts=timeouts)
            for name, url in urls.items()
        }


def _status_of(failure: RolloutError) -> int:
    """The HTTP status for a failure that the agent reported in a proper answer."""
    if failure.pending:
        return 503
    if failure.http_status is not None and 400 <= failure.http_status < 600:
        return failure.http_status
    return 422 if failure.terminal else 500
