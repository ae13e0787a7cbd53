"""Model back end for Azure OpenAI: its differences from other Chat Completions endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self, Unpack
from urllib.parse import quote

from nemo_gym.models.chat import ChatModel, ChatSettings
from nemo_gym.models.remote import Access

AZURE_API_VERSION: Final = "2024-10-21"
"""The last dated version that is generally available."""


class AzureSettings(ChatSettings, kw_only=True, frozen=True):
    """The additional settings of an Azure endpoint."""

    api_version: str = AZURE_API_VERSION
    default_query: dict[str, str] = {}
    """The original's place for `api-version`, which wins."""


class AzureModel(ChatModel):
    """A deployment of Azure OpenAI: the key in a header of its own, the API's version in the query.

    Args:
        url: the resource, `https://RESOURCE.openai.azure.com`, or a longer base that is taken as it is.
        name: the deployment.
        api_version: dated; none is sent to a base that ends with `/openai/v1`.
    """

    Settings = AzureSettings
    key_variables = ("AZURE_OPENAI_API_KEY",)
    max_tokens_field = "max_completion_tokens"

    def __init__(
        self,
        url: str,
        name: str,
        *,
        api_version: str = AZURE_API_VERSION,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        **access: Unpack[Access],
    ) -> None:
        base = url.strip().rstrip("/")
        if base.count("/") == 2:
            base = f"{base}/openai/deployments/{name}"
        super().__init__(
            base,
            name,
            headers={**(headers or {}), "api-key": access.pop("api_key", None) or ""},
            query="" if base.endswith("/openai/v1") else f"?api-version={quote(api_version)}",
            extra_body=extra_body,
            **access,
        )

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        settings: AzureSettings,
        **access: Unpack[Access],
    ) -> Self:
        model = cls(
            url, name, **access,
            api_version=settings.default_query.get("api-version", settings.api_version),
            headers=settings.default_headers, extra_body=settings.extra_body,
        )  # fmt: skip
        model.follow(settings)
        return model
