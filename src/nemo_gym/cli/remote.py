"""Components at URLs, as the flags of `gym run` name them."""

from __future__ import annotations

from typing import Any

from nemo_gym.runs.components import AgentSpec
from nemo_gym.wire.errors import UsageError


def agent_spec(name: str, arguments: dict[str, Any], *, url: str, head_url: str, token: str) -> AgentSpec:
    """The agent that the flags ask for; with a head server `name` is for the rows that name none.

    Raises:
        UsageError: there are a URL and a head server.
    """
    if url and head_url:
        raise UsageError("--no-serve asks the head server for the agents: drop it or --agent-url")
    if not url and not head_url:
        return AgentSpec(name, arguments)
    given = {"url": url, "token": token} if url else {"head_url": head_url, "agent": name, "token": token}
    kind = name if url and name else "remote_run"
    return AgentSpec(kind, {**arguments, **{key: value for key, value in given.items() if value}})


def check_choice(
    *, environment: str, environment_url: str, model: object, agent: str, elsewhere: bool
) -> None:
    """Refuse flags that leave something open or ask for what can't be honoured.

    Args:
        elsewhere: whether the agent runs at a URL.

    Raises:
        UsageError: saying which flag to add or drop.
    """
    acts_here = not elsewhere or agent == "remote_agent"
    if acts_here and not environment and not environment_url:
        known = "name one (`gym env list`), or pass --environment-url, --agent-url or --no-serve"
        raise UsageError(f"which environment? {known}")
    if not acts_here and environment_url:
        raise UsageError("the agent at the URL has an environment of its own: drop --environment-url")
    if elsewhere and model:
        raise UsageError(
            "the agent at the URL has a model of its own: drop --model, --model-type, --model-url"
        )
