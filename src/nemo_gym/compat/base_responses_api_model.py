"""Model servers (CONTRACT 2.5, 3.5)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from fastapi import Body as Body
from fastapi import FastAPI
from starlette.middleware import Middleware

from nemo_gym.compat.dialects import OtherDialects
from nemo_gym.compat.openai_chat import NeMoGymChatCompletion as NeMoGymChatCompletion
from nemo_gym.compat.openai_chat import (
    NeMoGymChatCompletionCreateParamsNonStreaming as NeMoGymChatCompletionCreateParamsNonStreaming,
)
from nemo_gym.compat.openai_items import NeMoGymResponse as NeMoGymResponse
from nemo_gym.compat.openai_items import (
    NeMoGymResponseCreateParamsNonStreaming as NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.compat.rollout_correlation import RolloutContextMiddleware
from nemo_gym.compat.server_utils import BaseRunServerInstanceConfig as BaseRunServerInstanceConfig
from nemo_gym.compat.server_utils import BaseServer as BaseServer
from nemo_gym.compat.server_utils import SimpleServer as SimpleServer


class BaseResponsesAPIModelConfig(BaseRunServerInstanceConfig):
    pass


class BaseResponsesAPIModel(BaseServer):
    config: BaseResponsesAPIModelConfig  # pyright: ignore[reportIncompatibleVariableOverride] - how settings are typed


class SimpleResponsesAPIModel(BaseResponsesAPIModel, SimpleServer):
    """Subclass it and write `responses` and `chat_completions`."""

    config: BaseResponsesAPIModelConfig  # pyright: ignore[reportIncompatibleVariableOverride] - how settings are typed

    def setup_webserver(self) -> FastAPI:
        app = FastAPI()
        app.add_middleware(RolloutContextMiddleware)
        self.setup_session_middleware(app)
        app.user_middleware.append(Middleware(OtherDialects, name=self.config.name))
        app.post("/v1/responses")(self.responses)
        app.post("/v1/chat/completions")(self.chat_completions)
        return app

    @abstractmethod
    async def chat_completions(
        self, body: Annotated[NeMoGymChatCompletionCreateParamsNonStreaming, Body()]
    ) -> NeMoGymChatCompletion:
        """Answer a Chat Completions request. May take the `Request` first."""

    @abstractmethod
    async def responses(
        self, body: Annotated[NeMoGymResponseCreateParamsNonStreaming, Body()]
    ) -> NeMoGymResponse:
        """Answer a Responses request. May take the `Request` first."""
