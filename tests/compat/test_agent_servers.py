"""Rows sent to the agents of a head server, for a trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from wreq import HeaderMap

from nemo_gym.compat.agent_servers import AgentServers, RolloutFailed
from nemo_gym.transport.exchange import Reply
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import ServerUnreachable, UsageError


class Agent(Service):
    """An agent server that answers with its URL, or is unreachable."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def post(self, path: str, body: Any, **_: Any) -> Reply:
        if "down" in self.url:
            raise ServerUnreachable(f"{self.url} can't be reached")
        return Reply(200, HeaderMap(), b'{"reward": 1.0, "url": "%b"}' % self.url.encode())


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The agents that the head server names, one map for each look-up."""
    maps: list[dict[str, str]] = []
    remaining: Iterator[dict[str, str]] = iter(maps)

    async def find_agents(head_url: str, *, token: str) -> dict[str, str]:
        return next(remaining)

    monkeypatch.setattr("nemo_gym.agents.remote_run.find_agents", find_agents)
    monkeypatch.setattr(AgentServers, "_service", lambda _, url: Agent(url))
    return maps


def row(agent: str) -> dict[str, Any]:
    return {"agent_ref": {"name": agent}, "responses_create_params": {"input": "?"}}


async def test_an_agent_that_starts_later_is_looked_up(look_ups: list[dict[str, str]]) -> None:
    look_ups += [{"one": "http://one"}, {"one": "http://one", "two": "http://two"}]
    servers = AgentServers("http://head", "")

    assert (await servers.result_of(row("one")))["url"] == "http://one"
    assert (await servers.result_of(row("two")))["url"] == "http://two"


async def test_a_server_that_moved_is_looked_up_again(look_ups: list[dict[str, str]]) -> None:
    look_ups += [{"one": "http://down"}, {"one": "http://one"}]
    servers = AgentServers("http://head", "")

    with pytest.raises(RolloutFailed) as raised:
        await servers.result_of(row("one"))
    assert raised.value.status == 503
    assert (await servers.result_of(row("one")))["url"] == "http://one"


@pytest.mark.parametrize(("name", "message"), [("tow", "Did you mean 'two'"), ("", "agent_ref")])
async def test_a_row_of_no_agent_is_refused(look_ups: list[dict[str, str]], name: str, message: str) -> None:
    look_ups += [{"two": "http://two"}] * 2

    with pytest.raises(UsageError, match=message):
        await AgentServers("http://head", "").result_of(row(name))
