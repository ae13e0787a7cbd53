"""Models behind HTTP endpoints by type name, each with its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from nemo_gym.models import anthropic
from nemo_gym.models.anthropic import AnthropicModel, AnthropicSettings
from nemo_gym.models.base import Model
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.presets import AZURE_API_VERSION, AZURE_KEY_VARIABLES, PROVIDERS, AzureModel, key_of
from nemo_gym.models.replicas import ReplicatedModel
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.models.sglang import SglangModel
from nemo_gym.models.vllm import VllmModel, VllmSettings
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import UsageError, did_you_mean

ENDPOINT_TYPES: Final = ("chat", "responses", "vllm", "sglang", "anthropic", "azure")


class EndpointSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Settings of an endpoint of any type but vLLM's."""

    extra_body: dict[str, Any] = {}
    """Laid over every request."""
    default_headers: dict[str, str] = {}


class AzureSettings(EndpointSettings, kw_only=True, frozen=True):
    api_version: str = AZURE_API_VERSION


def endpoint_model(
    type: str,
    urls: Sequence[str],
    name: str,
    *,
    api_key: str = "",
    timeout: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Model:
    """The model at one URL, or at several that serve copies of it.

    Args:
        type: one of `ENDPOINT_TYPES`, or a hosted provider, whose URL and key variable are known.
        name: the model's name at the endpoint.
        timeout: seconds one attempt at a call may take.

    Raises:
        UsageError: the URL, the name or the key is missing, or there is no such setting.
    """
    provider = PROVIDERS.get(type)
    if provider is not None:
        urls = urls or [provider.url]
        api_key = key_of(type, api_key, provider.key_variables)
    elif type == "azure":
        api_key = key_of(type, api_key, AZURE_KEY_VARIABLES)
    elif type == "anthropic" and not urls:
        urls, api_key = [anthropic.URL], key_of(type, api_key, anthropic.KEY_VARIABLES)
    missing = [flag for flag, given in (("--model-url", urls), ("--model", name)) if not given]
    if missing:
        raise UsageError(f"model type {type!r} needs {' and '.join(missing)}")
    read = _read_settings(type, settings or {})
    timeouts = Timeouts.of(timeout)

    def build(url: str, retry: Retry | None = None) -> Model:
        if isinstance(read, VllmSettings) and not read.is_responses_native:
            make = SglangModel if type == "sglang" else VllmModel
            return make(url, name, read, api_key=api_key or None, timeouts=timeouts, retry=retry)
        if isinstance(read, AnthropicSettings):
            return AnthropicModel(url, name, read, api_key=api_key or None, timeouts=timeouts, retry=retry)
        headers, extra_body = read.default_headers, read.extra_body
        if isinstance(read, AzureSettings):
            return AzureModel(
                url, name, api_key=api_key, api_version=read.api_version, headers=headers,
                extra_body=extra_body, timeouts=timeouts, retry=retry,
            )  # fmt: skip
        native = type == "responses" or isinstance(read, VllmSettings)
        make = ResponsesModel if native else ChatModel
        return make(
            url, name, api_key=api_key or None, headers=headers,
            extra_body=extra_body, timeouts=timeouts, retry=retry,
        )  # fmt: skip

    return build(urls[0]) if len(urls) == 1 else ReplicatedModel(urls, build)


_NATIVE: Final = ("is_responses_native", "extra_body", "default_headers", "uses_reasoning_parser")
"""Settings of vLLM that go with its own `/responses`."""
_SETTINGS: Final = {
    "vllm": VllmSettings,
    "sglang": VllmSettings,
    "anthropic": AnthropicSettings,
    "azure": AzureSettings,
}


def _read_settings(
    model_type: str, given: Mapping[str, Any]
) -> VllmSettings | AnthropicSettings | EndpointSettings:
    kind = _SETTINGS.get(model_type, EndpointSettings)
    for key in given:
        if key not in kind.__struct_fields__:
            known = did_you_mean(key, kind.__struct_fields__)
            raise UsageError(f"model type {model_type!r} has no setting {key!r}.{known}")
    try:
        settings = msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings of model type {model_type!r}: {error}") from None
    if isinstance(settings, VllmSettings):
        _check_vllm(model_type, settings, given)
    return settings


def _check_vllm(model_type: str, settings: VllmSettings, given: Mapping[str, Any]) -> None:
    unheard = [name for name in given if name not in _NATIVE] if settings.is_responses_native else []
    if unheard:
        raise UsageError(f"with is_responses_native, {', '.join(unheard)} can't be honoured")
    if settings.splice_sampled_ids and model_type == "sglang":
        raise UsageError("splice_sampled_ids needs routes that only vLLM has")
    if settings.splice_sampled_ids and not settings.return_token_id_information:
        raise UsageError("splice_sampled_ids needs return_token_id_information")
