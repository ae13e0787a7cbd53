"""Hosted providers of open models, and Azure: what differs from any other Chat Completions endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from nemo_gym.models.chat import ChatModel
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import UsageError


class Provider(NamedTuple):
    """A provider's base URL and the environment variables that its own documentation keeps the key in."""

    url: str
    key_variables: tuple[str, ...]


PROVIDERS: Final[dict[str, Provider]] = {
    "baseten": Provider("https://inference.baseten.co/v1", ("BASETEN_API_KEY",)),
    "deepinfra": Provider("https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN")),
    "fireworks": Provider("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    "friendli": Provider("https://api.friendli.ai/serverless/v1", ("FRIENDLI_TOKEN",)),
    "gemini": Provider("https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_API_KEY",)),
    "hf_inference": Provider("https://router.huggingface.co/v1", ("HF_TOKEN",)),
    "nebius": Provider("https://api.tokenfactory.nebius.com/v1", ("NEBIUS_API_KEY",)),
    "openrouter": Provider("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    "together": Provider("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
}

AZURE_KEY_VARIABLES: Final = ("AZURE_OPENAI_API_KEY",)
AZURE_API_VERSION: Final = "2024-10-21"
"""The last dated version that is generally available."""


def key_of(type: str, given: str, variables: tuple[str, ...]) -> str:
    """The key to send: the one given, else that of the first variable that is set.

    Raises:
        UsageError: there is none.
    """
    key = given or next((value for name in variables if (value := os.environ.get(name))), "")
    if not key:
        where = " or ".join(variables)
        raise UsageError(f"model type {type!r} needs a key: set {where}, or pass --model-api-key")
    return key


class AzureModel(ChatModel):
    """A deployment of Azure OpenAI: the key in a header of its own, the API's version in the query.

    Args:
        url: the resource, `https://RESOURCE.openai.azure.com`, or a longer base that is taken as it is.
        name: the deployment.
        api_version: dated; none is sent to a base that ends with `/openai/v1`.
    """

    max_tokens_field = "max_completion_tokens"

    def __init__(
        self,
        url: str,
        name: str,
        *,
        api_key: str,
        api_version: str = AZURE_API_VERSION,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> None:
        base = url.strip().rstrip("/")
        if base.count("/") == 2:
            base = f"{base}/openai/deployments/{name}"
        super().__init__(
            base,
            name,
            headers={**(headers or {}), "api-key": api_key},
            query="" if base.endswith("/openai/v1") else f"?api-version={quote(api_version)}",
            extra_body=extra_body,
            timeouts=timeouts,
            retry=retry,
        )
