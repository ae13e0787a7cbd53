"""Model back end for Azure OpenAI, which differs a little from other Chat Completions endpoints."""

from __future__ import annotations

from typing import Final, Unpack
from urllib.parse import quote

from nemo_gym.models.chat import ChatModel, ChatSettings
from nemo_gym.models.remote import Access

AZURE_API_VERSION: Final = "2024-10-21"
"""The last dated version that is generally available."""


class AzureSettings(ChatSettings, kw_only=True, frozen=True):
    """The additional settings of an Azure endpoint."""

    api_version: str = AZURE_API_VERSION
    """A dated version. It is not sent to a URL that ends with `/openai/v1`."""
    default_query: dict[str, str] = {}
    """Its `api-version` replaces `api_version`, as in configurations of the original."""


class AzureModel(ChatModel):
    """A deployment of Azure OpenAI. The key goes into the header `api-key`, the API version into the query.

    Args:
        url: the resource, `https://RESOURCE.openai.azure.com`, or the whole base URL.
        name: the deployment.
    """

    Settings = AzureSettings
    key_variables = ("AZURE_OPENAI_API_KEY",)
    max_tokens_field = "max_completion_tokens"

    def __init__(
        self, url: str, name: str, settings: AzureSettings | None = None, **access: Unpack[Access]
    ) -> None:
        settings = settings or AzureSettings()
        base = url.strip().rstrip("/")
        if base.count("/") == 2:
            base = f"{base}/openai/deployments/{name}"
        headers = {**settings.default_headers, "api-key": access.pop("api_key", None) or ""}
        super().__init__(base, name, settings, headers=headers, **access)
        if not base.endswith("/openai/v1"):
            version = settings.default_query.get("api-version", settings.api_version)
            self.path = f"{self.path}?api-version={quote(version)}"
