"""Agent servers: the loop between a model server and a resources server."""

from __future__ import annotations

import functools
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Annotated, Any, Final, cast

from fastapi import Body, FastAPI, Request
from pydantic import BaseModel

from nemo_gym.compat.base_resources_server import BaseRunRequest, BaseVerifyResponse
from nemo_gym.compat.config_types import AggregateMetrics, AggregateMetricsRequest
from nemo_gym.compat.global_config import (
    OBSERVABILITY_ENABLED_KEY_NAME,
    TOKEN_ID_CAPTURE_BLOCK,
    get_first_server_config_dict,
)
from nemo_gym.compat.handlers import request_body, value_of
from nemo_gym.compat.openai_items import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.compat.reward_profile import AggregateMetricsMixin
from nemo_gym.compat.rollout_correlation import (
    apply_rollout_prefix,
    request_path_prefix,
    rollout_context,
    rollout_id_of,
    rollout_path_prefix,
)
from nemo_gym.compat.seeded_tools import tools_of_session
from nemo_gym.compat.server_utils import (
    BaseRunServerInstanceConfig,
    SimpleServer,
    get_response_json,
    raise_for_status,
)
from nemo_gym.compat.server_utils import BaseServer as BaseServer


class BaseResponsesAPIAgentConfig(BaseRunServerInstanceConfig):
    skip_verification: bool = False
    """Whether every rollout gets `skip_verification_reward` and no verifier is called."""
    skip_verification_reward: float = 0.0
    token_id_capture: bool = False
    """Whether the model server captures the token ids of this agent's calls."""


class BaseResponsesAPIAgent(BaseServer):
    config: BaseResponsesAPIAgentConfig  # pyright: ignore[reportIncompatibleVariableOverride] - how settings are typed


class SimpleResponsesAPIAgent(BaseResponsesAPIAgent, AggregateMetricsMixin, SimpleServer):
    """Subclass it and write `responses` (the loop) and `run` (seed, loop, verify)."""

    config: BaseResponsesAPIAgentConfig  # pyright: ignore[reportIncompatibleVariableOverride] - typed settings

    def setup_webserver(self) -> FastAPI:
        app = self.new_app()
        app.post("/v1/responses")(self.responses)
        app.post("/run")(self._within_rollout(self.run))
        app.post("/aggregate_metrics")(self.aggregate_metrics)
        return app

    @abstractmethod
    async def responses(
        self, body: Annotated[NeMoGymResponseCreateParamsNonStreaming, Body()]
    ) -> NeMoGymResponse:
        """Let the model act until it is done. May take the `Request` first."""

    @abstractmethod
    async def run(self, body: Annotated[BaseRunRequest, Body()]) -> BaseVerifyResponse:
        """One rollout. May take the `Request` first."""

    async def aggregate_metrics(self, body: Annotated[AggregateMetricsRequest, Body()]) -> AggregateMetrics:
        """The metrics of the resources server that this agent acts in, or else the agent's own."""
        if self.config.skip_verification:
            log.warning("%s: verification is skipped, so there are no metrics", self.config.name)
            return AggregateMetrics()
        server = getattr(self.config, "resources_server", None)
        if server is None:
            return await super().aggregate_metrics(body)
        response = await self.server_client.post(
            server_name=server.name, url_path="/aggregate_metrics", json=body
        )
        await raise_for_status(response)
        return AggregateMetrics.model_validate(await get_response_json(response))

    def rollout_id_from_run(self, body: Any) -> str | None:
        """The id of the rollout that a run request asks for. None when the request has no identity, or when
        the configuration captures nothing."""
        return rollout_id_of(_fields(body)) if self._capture_correlation_enabled() else None

    def url_path_for_run(self, url_path: str, body: Any) -> str:
        """A model server's path, prefixed with the rollout of a run request."""
        return self._prefix(self.rollout_id_from_run(body)) + url_path

    def base_url_for_run(self, base_url: str, body: Any) -> str:
        """A model server's root URL, prefixed with the rollout of a run request."""
        rollout_id = self.rollout_id_from_run(body)
        return apply_rollout_prefix(base_url, rollout_id, token_capture=self._token_id_capture_enabled())

    def url_path_for_request(self, url_path: str, request: Request | None) -> str:
        """A model server's path, prefixed with the rollout that this request belongs to."""
        return request_path_prefix(request) + url_path

    def resolve_model_base_url(self, model_server_name: str, rollout_id: str | None = None) -> str:
        """The `/v1` URL of a model server, for a command or an SDK."""
        config: Any = get_first_server_config_dict(self.server_client.global_config_dict, model_server_name)
        root = f"http://{config['host']}:{config['port']}"
        return apply_rollout_prefix(root, rollout_id, token_capture=self._token_id_capture_enabled()) + "/v1"

    def _capture_correlation_enabled(self) -> bool:
        """Whether the configuration captures this agent's model calls or their tokens."""
        return self._model_call_capture_enabled() or self._token_id_capture_enabled()

    def _model_call_capture_enabled(self) -> bool:
        """Whether the configuration captures model calls."""
        return bool(self._settings().get(OBSERVABILITY_ENABLED_KEY_NAME))

    def _token_id_capture_enabled(self) -> bool:
        """Whether the configuration captures tokens of all agents, or of this agent, which asks for it."""
        block = self._settings().get(TOKEN_ID_CAPTURE_BLOCK)
        if not isinstance(block, Mapping):
            return False
        tokens = cast("Mapping[str, Any]", block)
        own = getattr(getattr(self, "config", None), "token_id_capture", False)
        return bool(tokens.get("enabled")) and bool(tokens.get("all_agents") or own)

    def _settings(self) -> Mapping[str, Any]:
        """The configuration; an empty one for a test with a mock in its place."""
        config_dict: Any = getattr(self.server_client, "global_config_dict", None)
        return cast("Mapping[str, Any]", config_dict) if isinstance(config_dict, Mapping) else {}

    def _prefix(self, rollout_id: str | None) -> str:
        return rollout_path_prefix(rollout_id, token_capture=self._token_id_capture_enabled())

    def _within_rollout(self, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`run` with the rollout's id as context, so that its model calls carry the id."""

        @functools.wraps(run)
        async def in_context(*args: Any, **kwargs: Any) -> Any:
            body = request_body(args, kwargs)
            rollout_id = None if body is None else self.rollout_id_from_run(body)
            token_capture = self._token_id_capture_enabled()
            context = (
                rollout_context(rollout_id, token_capture=token_capture) if rollout_id else nullcontext()
            )
            with context, tools_of_session(body):
                return await value_of(run(*args, **kwargs))

        return in_context


def _fields(body: Any) -> dict[str, Any]:
    return body.model_dump() if isinstance(body, BaseModel) else dict(body)


log: Final = logging.getLogger(__name__)
