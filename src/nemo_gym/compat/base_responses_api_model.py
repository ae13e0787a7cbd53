"""The base class of model servers that existing code subclasses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import Body, FastAPI
from starlette.middleware import Middleware

from nemo_gym.capture.settings import token_settings
from nemo_gym.compat.dialects import OtherDialects
from nemo_gym.compat.global_config import plain_config
from nemo_gym.compat.model_call_capture import CaptureMiddleware as _CaptureMiddleware
from nemo_gym.compat.model_call_capture import capture_store
from nemo_gym.compat.model_call_records import CaptureStore as CaptureStore
from nemo_gym.compat.model_call_records import ModelCallRecord as ModelCallRecord
from nemo_gym.compat.model_call_records import aggregate_model_call_metrics as aggregate_model_call_metrics
from nemo_gym.compat.model_call_records import read_model_call_records as read_model_call_records
from nemo_gym.compat.model_token_capture import TokenCapture
from nemo_gym.compat.openai_chat import NeMoGymChatCompletion, NeMoGymChatCompletionCreateParamsNonStreaming
from nemo_gym.compat.openai_items import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.compat.server_utils import BaseRunServerInstanceConfig, SimpleServer
from nemo_gym.compat.server_utils import BaseServer as BaseServer
from nemo_gym.compat.trajectory_records import (
    merge_model_call_capture_into_record as merge_model_call_capture_into_record,
)


class BaseResponsesAPIModelConfig(BaseRunServerInstanceConfig):
    pass


class BaseResponsesAPIModel(BaseServer):
    config: BaseResponsesAPIModelConfig  # pyright: ignore[reportIncompatibleVariableOverride] - how settings are typed


class SimpleResponsesAPIModel(BaseResponsesAPIModel, SimpleServer):
    """Subclass it and write `responses` and `chat_completions`."""

    config: BaseResponsesAPIModelConfig  # pyright: ignore[reportIncompatibleVariableOverride] - typed settings

    def setup_webserver(self) -> FastAPI:
        app = self.new_app()
        app.user_middleware.append(Middleware(OtherDialects, name=self.config.name))
        self._capture_calls(app)
        app.post("/v1/responses")(self.responses)
        app.post("/v1/chat/completions")(self.chat_completions)
        return app

    def _capture_calls(self, app: FastAPI) -> None:
        """Add the capture of calls as the outermost middleware, which sees the path's prefix and every
        dialect, and the capture of tokens as the innermost, before a dialect drops them."""
        config_dict: Any = self.server_client.global_config_dict
        if not isinstance(config_dict, Mapping):  # a test has a mock in its place
            return
        settings = plain_config(cast("Mapping[str, Any]", config_dict))
        if tokens := token_settings(settings):
            app.user_middleware.append(Middleware(TokenCapture, settings=tokens, name=self.config.name))
        if (store := capture_store(settings)) is not None:
            app.add_middleware(_CaptureMiddleware, store=store, model_server_name=self.config.name)

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
