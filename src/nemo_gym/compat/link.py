"""Runs an existing resources server as an environment of this process, without sockets."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig
from pydantic import ValidationError

from nemo_gym.compat.config_types import ConfigError
from nemo_gym.compat.errors import problems
from nemo_gym.compat.global_config import maybe_get_global_config_dict
from nemo_gym.compat.in_process import OwnAppConnections
from nemo_gym.compat.mcp_auto_exposure import api_routes, harvest
from nemo_gym.compat.reward_profile import AggregateMetricsMixin
from nemo_gym.compat.server_utils import ServerClient, SimpleServer
from nemo_gym.environments.base import Environment, Observation, Step, StepEnvironment
from nemo_gym.environments.openapi_description import Description
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.session import Session
from nemo_gym.serving.checkouts import SERVER_TYPES
from nemo_gym.serving.in_process import AppEnvironment
from nemo_gym.wire.items import FunctionCall
from nemo_gym.wire.masking import remember_secret_settings
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward


@functools.cache
def environment_class(server: type[SimpleServer]) -> type[Environment] | None:
    """The environment class for a server class; None for an abstract server class."""
    if inspect.isabstract(server):
        return None
    mode = _config_class(server).REVERIFY_MODE
    form = _ServedSteps if hasattr(server, "reset") and hasattr(server, "step") else _ServedTools
    members = {
        "__module__": server.__module__,
        "__doc__": server.__doc__,
        "__qualname__": server.__qualname__,
    }
    return cast(
        "type[Environment]",
        type(
            server.__name__, (form,), {**members, "server_class": server, "stateless": _STATELESS.get(mode)}
        ),
    )


def _config_class(server: type[SimpleServer]) -> Any:
    return server.model_fields["config"].annotation


class _Served(Environment):
    """An environment whose hooks call the server's routes."""

    server_class: type[SimpleServer]

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self.config: Any = dict(config or {})
        self.resources = Resources()
        server = self.server_class(config=self._typed(self.config), server_client=_client())
        app = server.served_app()
        self._server = cast("AggregateMetricsMixin", server)
        about = Description(steps=isinstance(self, StepEnvironment))
        self._link = AppEnvironment(OwnAppConnections(app), about)
        self._tools = [tool.function for tool in harvest(api_routes(app))]

    @classmethod
    def name(cls) -> str:
        file = cls.source_file()
        return file.parent.name if file.parent.parent.name in SERVER_TYPES else super().name()

    @classmethod
    def source_file(cls) -> Path:
        return Path(inspect.getfile(cls.server_class))

    async def seed(self, task: Any, session: Session) -> None:
        stack = AsyncExitStack()
        inner = await stack.enter_async_context(self._link.session(session.row))
        session.state[_INNER] = inner, stack
        session.tools = inner.tools or self._tools

    async def call_tool(self, call: FunctionCall, session: Session) -> str:
        return await self._link.call(_inner(session), call)

    async def close(self, session: Session) -> None:
        if _INNER in session.state:
            await session.state[_INNER][1].aclose()

    async def aclose(self) -> None:
        await self._link.aclose()

    def compute_metrics(self, tasks: list[list[dict[str, Any]]]) -> dict[str, Any]:
        return self._server.compute_metrics(tasks)

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        return self._server.get_key_metrics(agent_metrics)

    def _typed(self, settings: Mapping[str, Any]) -> Any:
        kind = _config_class(self.server_class)
        base_settings = {
            "host": "127.0.0.1",
            "port": 0,
            "entrypoint": self.source_file().name,
            "name": self.name(),
        }
        try:
            config = kind.model_validate({**base_settings, **settings})
        except ValidationError as error:
            raise ConfigError(f"settings of {self.name()}: {problems(error)}") from None
        remember_secret_settings(config)
        return config


class _ServedTools(_Served):
    async def verify(self, task: Any, response: Response, session: Session) -> Reward:
        return await self._link.verify(_inner(session), response)


class _ServedSteps(_Served, StepEnvironment):
    max_steps = 100

    async def reset(self, task: Any, session: Session) -> Observation:
        return await self._link.reset(_inner(session))

    async def step(self, action: Response, session: Session) -> Step:
        return await self._link.step(_inner(session), action)


_STATELESS = {"stateless": True, "unsupported": False}
"""Whether an environment is stateless, by the reverify mode of the server's configuration."""
_INNER = "compat.session"


def _inner(session: Session) -> Session:
    return session.state[_INNER][0]


def _client() -> ServerClient:
    config = maybe_get_global_config_dict() or DictConfig({})
    return ServerClient(head_server_config=ServerClient.load_head_server_config(), global_config_dict=config)
