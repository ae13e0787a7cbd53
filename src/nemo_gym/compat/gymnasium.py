"""Resources servers in the reset/step form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from nemo_gym.compat.base_resources_server import BaseVerifyRequest, SimpleResourcesServer
from nemo_gym.compat.openai_items import (
    NeMoGymEasyInputMessage,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseOutputMessage,
    NeMoGymResponseOutputText,
)
from nemo_gym.compat.server_utils import SESSION_ID_KEY
from nemo_gym.wire import keys

Info = dict[str, Any]


class EnvResetRequest(BaseModel):
    """A task row. Its extra columns are the environment's metadata."""

    model_config = ConfigDict(extra="allow")

    responses_create_params: NeMoGymResponseCreateParamsNonStreaming


class EnvResetResponse(BaseModel):
    observation: str | None = None
    info: Info = Field(default_factory=dict)


class EnvStepRequest(EnvResetRequest):
    response: NeMoGymResponse


class EnvStepResponse(BaseModel):
    observation: str | None = None
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    info: Info = Field(default_factory=dict)


class GymnasiumServer(SimpleResourcesServer):
    """Subclass it and write `step`, and `reset` if an episode begins with an observation."""

    session_state: dict[str, Any] = Field(default_factory=dict)
    """The state of each open episode, by session id. It is removed when the episode ends."""

    def setup_webserver(self) -> FastAPI:
        app = self.new_app()
        app.post("/reset")(self._reset_endpoint)
        app.post("/step")(self._step_endpoint)
        app.post("/close")(self._close_endpoint)
        app.post("/aggregate_metrics")(self.aggregate_metrics)
        return app

    async def reset(self, metadata: Info, session_id: str | None = None) -> tuple[str | None, Info]:
        """Begin an episode: (observation, info)."""
        return None, {}

    async def step(
        self, action: NeMoGymResponse, metadata: Info, session_id: str | None = None
    ) -> tuple[str | None, float, bool, bool, Info]:
        """Apply an answer: (observation, reward, terminated, truncated, info)."""
        raise NotImplementedError(f"{type(self).__name__} has no step()")

    async def close_session(self, session_id: str | None) -> None:
        """Release the resources of an episode."""
        self.session_state.pop(session_id or "", None)

    async def verify(self, body: BaseVerifyRequest) -> Any:
        """Not used in this form: every step returns a reward."""
        raise NotImplementedError("a GymnasiumServer scores each step; it has no verify()")

    @staticmethod
    def tool_output(call: NeMoGymResponseFunctionToolCall, result: Any) -> Info:
        """An entry of `info["tool_outputs"]`: the answer to a function call."""
        return {"call_id": call.call_id, "output": result if isinstance(result, str) else json.dumps(result)}

    async def _reset_endpoint(self, body: EnvResetRequest, request: Request) -> EnvResetResponse:
        observation, info = await self.reset(_metadata(body), request.session[SESSION_ID_KEY])
        return EnvResetResponse(observation=observation, info=info)

    async def _step_endpoint(self, body: EnvStepRequest, request: Request) -> EnvStepResponse:
        session_id: str = request.session[SESSION_ID_KEY]
        step = await self.step(body.response, _metadata(body), session_id)
        observation, reward, terminated, truncated, info = step
        if terminated or truncated:
            await self.close_session(session_id)
        return EnvStepResponse(
            observation=observation, reward=reward, terminated=terminated, truncated=truncated, info=info
        )

    async def _close_endpoint(self, request: Request) -> Info:
        await self.close_session(request.session[SESSION_ID_KEY])
        return {}


def extract_text(response: NeMoGymResponse) -> str:
    """The text of every assistant message, joined."""
    return "".join(_texts(response))


def _texts(response: NeMoGymResponse) -> Iterator[str]:
    for item in response.output:
        if isinstance(item, NeMoGymResponseOutputMessage):
            yield from (part.text for part in item.content if isinstance(part, NeMoGymResponseOutputText))
        elif isinstance(item, NeMoGymEasyInputMessage) and item.role == "assistant":
            yield item.content if isinstance(item.content, str) else ""


def _metadata(body: EnvResetRequest) -> Info:
    return {name: value for name, value in (body.model_extra or {}).items() if name != keys.STEP_REQUEST_ID}
