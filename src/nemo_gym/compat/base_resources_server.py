"""Resources servers: tools, per-session state and a verifier behind HTTP."""

from __future__ import annotations

from abc import abstractmethod
from enum import StrEnum
from typing import Any, ClassVar, Final

from fastapi import FastAPI
from pydantic import BaseModel

from nemo_gym.compat.config_types import AggregateMetrics as AggregateMetrics
from nemo_gym.compat.config_types import AggregateMetricsRequest as AggregateMetricsRequest
from nemo_gym.compat.judge import judge_failsafe
from nemo_gym.compat.link import environment_class
from nemo_gym.compat.mcp_auto_exposure import CatchAll, HarvestedTool, maybe_auto_expose
from nemo_gym.compat.openai_items import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.compat.own_answer_route import own_answer_route
from nemo_gym.compat.reward_profile import AggregateMetricsMixin
from nemo_gym.compat.server_utils import SESSION_ID_KEY as SESSION_ID_KEY
from nemo_gym.compat.server_utils import BaseRunServerInstanceConfig, SimpleServer
from nemo_gym.compat.server_utils import BaseServer as BaseServer
from nemo_gym.environments.base import Environment
from nemo_gym.serving.profiling import CpuProfile
from nemo_gym.serving.secrets import Secret

NEMO_GYM_MCP_METADATA_KEY: Final = "mcp"
"""The field of `/seed_session` answers with the address of the tools over MCP."""
NEMO_GYM_MCP_SESSION_TOKEN_HEADER: Final = "X-NeMo-Gym-Session-Token"


class ReverifyMode(StrEnum):
    """Whether stored trajectories can be scored again."""

    STATELESS = "stateless"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


class BaseResourcesServerConfig(BaseRunServerInstanceConfig):
    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.UNKNOWN

    expose_tools_over_mcp: bool = False
    """Whether the tool routes are offered over MCP at `/mcp` too."""


class BaseRunRequest(BaseModel):
    """A task row. Fields that a subclass doesn't declare are dropped, unless it allows extra ones."""

    responses_create_params: NeMoGymResponseCreateParamsNonStreaming


class BaseVerifyRequest(BaseRunRequest):
    response: NeMoGymResponse


class BaseVerifyResponse(BaseVerifyRequest):
    reward: float


class BaseMultiRewardVerifyResponse(BaseVerifyResponse):
    reward_components: dict[str, float]
    """The parts of the reward; every row of an environment has the same names."""


class BaseSeedSessionRequest(BaseModel):
    """Subclass it and declare the columns of the row that seeding needs."""


class BaseSeedSessionResponse(BaseModel):
    pass


class BaseResourcesServer(BaseServer):
    config: BaseResourcesServerConfig  # pyright: ignore[reportIncompatibleVariableOverride] - how settings are typed


class SimpleResourcesServer(BaseResourcesServer, AggregateMetricsMixin, SimpleServer):
    """Subclass it, write `verify`, and add tools as routes in `setup_webserver`."""

    config: BaseResourcesServerConfig  # pyright: ignore[reportIncompatibleVariableOverride] - typed settings

    def setup_webserver(self) -> FastAPI:
        app = self.new_app()
        app.post("/seed_session")(self.seed_session)
        app.post("/verify")(judge_failsafe(self.verify))
        app.post("/aggregate_metrics")(self.aggregate_metrics)
        app.get("/reverify_mode")(self._reverify_mode)
        return app

    def served_app(self, *, token: Secret | None = None, profile: CpuProfile | None = None) -> FastAPI:
        app = super().served_app(token=token, profile=profile)
        maybe_auto_expose(self, app)
        steps = hasattr(self, "reset") and hasattr(self, "step")
        app.router.routes.insert(0, own_answer_route(app, steps=steps))
        return app

    async def seed_session(self, body: BaseSeedSessionRequest) -> BaseSeedSessionResponse:
        """Prepare the session's state. May take the `Request` first."""
        return BaseSeedSessionResponse()

    @abstractmethod
    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        """Score a response. May take the `Request` first."""

    def mcp_tools(
        self, harvested: list[HarvestedTool], catchall: CatchAll | None
    ) -> list[HarvestedTool] | None:
        """The tools to offer over MCP: those of the routes, fewer, or more with `catchall.tool`."""
        return harvested

    def mcp_allowed_tools_for_session(self, seed_body: dict[str, Any]) -> list[str] | None:
        """The tools a session may call over MCP; None allows all."""
        return None

    def normalize_tool_name(self, name: str) -> str:
        """The name of a tool without the prefix `mcp__<server>__` of MCP clients."""
        return normalize_tool_name(name, self.config.name)

    async def _reverify_mode(self) -> ReverifyMode:
        return self.config.REVERIFY_MODE

    @classmethod
    def __gym_environment__(cls) -> type[Environment] | None:
        """The class as an environment of this package, which runs in this process without sockets."""
        return environment_class(cls)


def normalize_tool_name(name: str, server_name: str | None = None) -> str:
    """The name of a tool without the prefix `mcp__<server>__`; with `server_name` only of that server."""
    if server_name is not None:
        return name.removeprefix(f"mcp__{server_name}__") or name
    if not name.startswith("mcp__"):
        return name
    _, _, tool = name.removeprefix("mcp__").partition("__")
    return tool or name
