"""Table of model types and their modules; a module is loaded at its first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

ENDPOINT_TYPES: Final = {
    "chat": "chat:ChatModel",
    "responses": "responses:ResponsesModel",
    "vllm": "vllm:VllmModel",
    "sglang": "sglang:SglangModel",
    "anthropic": "anthropic:AnthropicModel",
    "azure": "azure:AzureModel",
    "litellm": "litellm:LitellmModel",
    "evaluator_proxy": "evaluator_proxy:EvaluatorProxyModel",
    "nim": "nim:NimModel",
    "genrm": "genrm:GenrmModel",
    "guardrails": "guardrails_proxy:GuardrailsProxyModel",
    "local_vllm": "local_vllm:LocalVllmModel",
    "local_vllm_proxy": "local_vllm_proxy:LocalVllmProxyModel",
}
"""Models at URLs, as `module:class` in this package."""
ENGINE_TYPES: Final = ("genrm", "local_vllm")
"""Types for which an engine is started when there is no URL."""
TYPES: Final = {
    "embedded": "embedded:EmbeddedModel",
    "hf": "policies.hf:HFModel",
    **ENDPOINT_TYPES,
    "scripted": "scripted:ScriptedModel",
    "replay": "replay:ReplayModel",
    "random": "baselines:RandomModel",
    "oracle": "baselines:OracleModel",
}
ALIASES: Final = {
    "openai_model": "responses",
    "vllm_model": "vllm",
    "azure_openai_model": "azure",
    "anthropic_model": "anthropic",
    "litellm_model": "litellm",
    "inference_provider": "chat",
    "genrm_model": "genrm",
    "local_vllm_model": "local_vllm",
    "local_vllm_model_proxy": "local_vllm_proxy",
}
"""Type names of the original package."""
ALIAS_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "inference_provider": {"uses_reasoning_parser": False, "max_concurrent_requests": 1000},
}
"""Settings of an alias, unless the user sets them."""


def load(place: str) -> Callable[..., Any]:
    """The object at `module:name` in this package."""
    module, _, name = place.partition(":")
    return getattr(import_module(f"{__package__}.{module}"), name)
