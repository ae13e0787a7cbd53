"""Calls agent servers through a client of the user, such as a `ServerClient`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import aiohttp
from wreq import HeaderMap

from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.runs.component_specs import AgentSpec
from nemo_gym.transport.exchange import Body, Reply
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import ServerTimeout, ServerUnreachable
from nemo_gym.wire.jsonl import decode

_AGENTS = "responses_api_agents"


class Client(Protocol):
    """The parts of a `ServerClient` that are used here."""

    global_config_dict: Any

    async def post(self, server_name: str, url_path: str, **kwargs: Any) -> Any:
        """The answer of a server, an object with `status` and `read()`."""
        ...


class ClientServer(Service):
    """A service whose requests go through the client to one instance."""

    def __init__(self, client: Client, name: str) -> None:
        self.url = name
        self._client = client

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
        try:
            answer = await self._client.post(
                server_name=self.url, url_path=path, json=decode(await _whole(body))
            )
            return Reply(answer.status, HeaderMap(), await answer.read())
        except TimeoutError as error:
            raise ServerTimeout(f"{self.url}{path}: no answer in time") from error
        except aiohttp.ClientError as error:
            raise ServerUnreachable(f"{self.url}{path}: {error}") from error

    async def aclose(self) -> None:
        """Leave the client open; its owner closes it."""


class ClientAgents(AgentSpec, frozen=True):
    """The agents that a client can call; each gets the rows that name it."""

    client: Any = None

    def resolve(self, environment: str, *, steps: bool) -> AgentSpec:
        return self

    def build(self) -> RemoteRun:
        return RemoteRun(servers=servers_of(self.client), **self.arguments)


class _AnyServer(dict[str, Service]):
    """A server for every name, for a client without a list of servers."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def __contains__(self, name: object) -> bool:
        return bool(name)

    def __missing__(self, name: str) -> Service:
        self[name] = ClientServer(self._client, name)
        return self[name]


def servers_of(client: Client) -> Mapping[str, Service]:
    """The agent servers in a client's configuration, by name."""
    config = getattr(client, "global_config_dict", None)
    if not isinstance(config, Mapping):
        return _AnyServer(client)
    blocks = cast("Mapping[str, Any]", config).items()
    agents = [name for name, block in blocks if isinstance(block, Mapping) and _AGENTS in block]
    return {name: ClientServer(client, name) for name in agents}


async def _whole(body: Body) -> bytes:
    return body if isinstance(body, bytes) else b"".join([part async for part in body()])
