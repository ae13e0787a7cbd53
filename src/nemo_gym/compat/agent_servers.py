"""Sends rows to the agent servers of a running system and returns the results as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import GymError, RolloutError, ServerTimeout, ServerUnreachable
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.rollout import failure_of
from nemo_gym.wire.task import Row, named_agent
from nemo_gym.wire.validation import json_object


class RolloutFailed(GymError):
    """A rollout has no score. It can be pickled, so it crosses process borders."""

    def __init__(self, message: str, status: int, response_content: bytes = b"") -> None:
        super().__init__(message, status, response_content)
        self.status = status
        """HTTP status: from 500 where another try may help, 400 to 499 where the row is wrong."""
        self.response_content = response_content
        """The body that the agent server answered with."""

    def __str__(self) -> str:
        return self.args[0]


class AgentServers(RemoteRun):
    """The agents of a head server, used in one event loop.

    Args:
        token: sent as a bearer token; empty for none.
        servers: agent servers by name, in place of those of the head server.
    """

    def __init__(self, head_url: str, token: str, servers: Mapping[str, Service] | None = None) -> None:
        super().__init__(head_url=head_url if servers is None else "", token=token, servers=servers)

    async def result_of(self, row: Row) -> dict[str, Any]:
        """The result of one rollout of a row by the agent that the row names.

        Raises:
            RolloutFailed: it has no score.
            UsageError: the row names no agent, or an unknown one.
            GymError: there is no head server.
        """
        name = named_agent(row)
        if name not in await self._agents() and self._head_url:
            self._services = {}  # the agent may have started after the last look-up
        service = self._find(await self._agents(), name)
        try:
            reply = await service.post("/run", encode(row))
        except (ServerUnreachable, ServerTimeout) as error:
            if self._head_url:
                self._services = {}  # a server that was restarted may have another address
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


def _status_of(failure: RolloutError) -> int:
    """The HTTP status for a failure that the agent reported in a proper answer."""
    if failure.pending:
        return 503
    if failure.http_status is not None and 400 <= failure.http_status < 600:
        return failure.http_status
    return 422 if failure.terminal else 500
