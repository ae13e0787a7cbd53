"""Model back end for a LiteLLM proxy, by its Responses API."""

from __future__ import annotations

from typing import Any, Final, Unpack

import msgspec

from nemo_gym.models.base import Model
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.remote import Access
from nemo_gym.models.responses import ResponsesModel, ResponsesSettings
from nemo_gym.transport.http import Endpoint
from nemo_gym.wire.chat import chat_response
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.response import Response
from nemo_gym.wire.validation import json_object


class LitellmSettings(ResponsesSettings, kw_only=True, frozen=True):
    """The additional settings of a LiteLLM proxy."""

    chat_only: bool = False
    """Use `/chat/completions`, for proxies whose `/responses` is unreliable."""
    uses_reasoning_parser: bool = True
    """With `chat_only`: send past reasoning in its own field, not in the text."""


class LitellmModel(ResponsesModel):
    """`POST {url}/responses` of a proxy. The answer may be a ChatCompletion, or a Response that is marked as
    one; both are read."""

    Settings = LitellmSettings

    @classmethod
    def open(cls, url: str, name: str, settings: Any, **access: Unpack[Access]) -> Model:
        return (_LitellmChatModel if settings.chat_only else cls)(url, name, settings, **access)

    async def check(self) -> None:
        await _check_version(self.endpoint)

    def _parse(self, content: bytes) -> Response:
        answer = json_object(content)
        if "output" not in answer and "choices" in answer:
            return chat_response(content)
        if answer.get("reasoning") == {"effort": "none"}:
            answer["reasoning"] = None
        return self._response(answer | {"object": "response"})


class _LitellmChatModel(ChatModel):
    async def check(self) -> None:
        await _check_version(self.endpoint)


SAFE_VERSION: Final = (1, 83, 0)
"""Two releases before it, 1.82.7 and 1.82.8, stole credentials (LiteLLM's security update of March 2026)."""


async def _check_version(endpoint: Endpoint) -> None:
    """Refuse a proxy with an unsafe version. One that does not report its version passes.

    Raises:
        GymError: no proxy answers, or the proxy is older than `SAFE_VERSION`.
    """
    reply = await endpoint.get("/health/readiness/details", at_root=True)
    try:
        version = msgspec.json.decode(reply.content, type=_Details).litellm_version
        numbers = tuple(int(number) for number in version.split(".")[:3])
    except (ValueError, RecursionError):
        return
    if numbers < SAFE_VERSION:
        minimum = ".".join(map(str, SAFE_VERSION))
        raise GymError(
            f"the LiteLLM proxy at {endpoint.url} is {version}: use {minimum} or newer "
            "(1.82.7 and 1.82.8 steal credentials)"
        )


class _Details(msgspec.Struct):
    litellm_version: str
