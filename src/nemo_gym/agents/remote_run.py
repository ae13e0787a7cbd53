"""An agent server with its own model and environment; one rollout is one `POST /run`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from nemo_gym.agents.base import Agent
from nemo_gym.agents.trajectory import outcome_of
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.transport.exchange import Body, Timeouts
from nemo_gym.transport.head import find_agents
from nemo_gym.transport.service import Service, ask_for_metrics, refused
from nemo_gym.wire import keys
from nemo_gym.wire.errors import RolloutError, UsageError, did_you_mean
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Rollout, Timing, failure_of, keep_partial
from nemo_gym.wire.task import Row, named_agent
from nemo_gym.wire.validation import json_object, read_response, read_reward


class RemoteRun(Agent):
    """Sends each row to an agent server, which has its own model and environment.

    Give exactly one of `url`, `head_url` and `servers`.

    Args:
        url: base URL of an agent server that gets every row.
        head_url: base URL of a head server; a row goes to the agent that its `agent_ref` names.
        servers: agent servers by name.
        agent: name of the agent for rows without an `agent_ref`.
        token: sent as a bearer token.
        timeout: the most seconds of one rollout; the collector's own limit is usually shorter.
    """

    def __init__(
        self,
        *,
        url: str = "",
        head_url: str = "",
        agent: str = "",
        token: str = "",
        timeout: float = 86400.0,
        servers: Mapping[str, Service] | None = None,
    ) -> None:
        if [bool(url), bool(head_url), servers is not None].count(True) != 1:
            raise UsageError("a remote agent needs the URL of an agent server or of a head server")
        self._head_url = head_url
        self._agent = agent
        self._token = token
        self._timeouts = Timeouts.of(timeout)
        self._only = self._service(url) if url else None
        self._services: Mapping[str, Service] = {} if servers is None else servers
        self._lock = asyncio.Lock()

    async def check(self) -> None:
        if self._only is not None:
            await self._only.get("/")
        elif self._agent:
            self._find(await self._agents(), self._agent)
        else:
            await self._agents()

    def check_row(self, row: Row) -> None:
        if self._only is None:
            self._find(self._services, self._name_of(row))

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        service = self._only or self._find(await self._agents(), self._name_of(row))
        reply = await service.post("/run", encode(row))
        if not 200 <= reply.status < 300:
            raise refused(RolloutError, service, "/run", reply)
        try:
            return _rollout(row, json_object(reply.content))
        except ValueError as error:
            raise RolloutError(f"{service.url}/run answered with something unusable: {error}") from None

    async def metrics_of(self, agent: str, body: Body) -> bytes:
        """The answer of an agent's server to `POST /aggregate_metrics`.

        Raises:
            GymError: there is no such agent, or its server does not answer or refuses.
        """
        service = self._only or self._find(await self._agents(), agent)
        return await ask_for_metrics(service, body)

    async def aclose(self) -> None:
        for service in [*self._services.values(), *([self._only] if self._only else [])]:
            await service.aclose()

    def _service(self, url: str) -> Service:
        return Service(url, "agent server", token=self._token, timeouts=self._timeouts)

    async def _agents(self) -> Mapping[str, Service]:
        async with self._lock:
            if self._head_url and not self._services:
                agents = await find_agents(self._head_url, token=self._token)
                self._services = {name: self._service(url) for name, url in agents.items()}
        return self._services

    def _name_of(self, row: Row) -> str:
        return named_agent(row) or self._agent

    def _find(self, services: Mapping[str, Service], name: str) -> Service:
        if name in services:
            return services[name]
        if not name:
            hint = did_you_mean("", services)
            problem = f"the row has no agent_ref that says which agent it is for: name an agent.{hint}"
            raise UsageError(problem).about("agent")
        raise UsageError(
            f"{self._head_url or 'the running system'} has no agent {name!r}.{did_you_mean(name, services)}"
        )


def _rollout(row: Row, result: dict[str, Any]) -> Rollout:
    """The rollout in an answer of `/run`, with the identity of the row.

    Raises:
        RolloutError: the agent reports a failure.
        ValueError: the answer is not a result.
    """
    failure = failure_of(result)
    if failure is not None:
        with suppress(ValueError):
            details = {name: value for name, value in result.items() if name not in {*keys.RESERVED, *row}}
            keep_partial(failure, row, read_response(result.get(keys.RESPONSE)), details)
        raise failure
    reward = read_reward(result, {})
    response = read_response(result.get(keys.RESPONSE))
    columns = {name: value for name, value in result.items() if name not in keys.RESERVED}
    params = result.get(keys.PARAMS)
    if isinstance(params, dict):
        columns[keys.PARAMS] = params
    outcome, timing = _outcome(result, response), _timing(result)
    return Rollout.scored({**row, **columns}, response, reward, outcome=outcome, timing=timing)


def _outcome(result: dict[str, Any], response: Response) -> str:
    outcome = result.get(keys.OUTCOME)
    if isinstance(outcome, str):
        return outcome
    if result.get("terminated") is True:
        return "terminated"
    return "truncated" if result.get("truncated") is True else outcome_of(response)


def _timing(result: dict[str, Any]) -> Timing:
    try:
        return msgspec.convert(result.get(keys.TIMING) or {}, Timing)
    except msgspec.ValidationError:
        return {}
