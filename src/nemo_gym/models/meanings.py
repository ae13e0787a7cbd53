"""Suggests a model type for common names that are not model types, such as `gpt` or `ollama`."""

from __future__ import annotations

from typing import Final

from nemo_gym.models.presets import PROVIDERS
from nemo_gym.models.type_table import ALIASES, TYPES

LOCAL_TYPES: Final = ("embedded", "hf", "scripted", "replay", "random", "oracle")
"""Model types that answer in this process."""
NAMELESS_TYPES: Final = ("embedded", "random", "oracle")
"""Model types with exactly one model, which take no model name."""

_OPENAI: Final = "type responses (or chat) at https://api.openai.com/v1"
_LOCAL: Final = "type chat with the URL of the server that runs it"
_WEIGHTS: Final = "type local_vllm with the name of its weights, or vllm with a URL"
_FOLDER: Final = "type hf with the folder of its weights"
_MEANINGS: Final = {
    "openai": _OPENAI,
    "gpt": _OPENAI,
    "chatgpt": _OPENAI,
    "openai_chat": _OPENAI,
    "claude": "type anthropic",
    "google": "type gemini",
    "azure_openai": "type azure",
    "completions": "type chat, or vllm with the setting use_completions_api=true",
    "chat_completions": "type chat",
    "openai_compatible": "type chat",
    "ollama": _LOCAL,
    "llamacpp": _LOCAL,
    "llama.cpp": _LOCAL,
    "llama_cpp": _LOCAL,
    "lmstudio": _LOCAL,
    "tgi": _LOCAL,
    "nvidia": "type nim",
    "nemotron": "type nim",
    "nvidia_nim": "type nim",
    "huggingface": _FOLDER,
    "transformers": _FOLDER,
    "local": _WEIGHTS,
    "mock": "type scripted, random or oracle",
    "test": "type scripted, random or oracle",
    "dummy": "type scripted, random or oracle",
}


def ready_meaning(name: str) -> str:
    """The model type that a common name means; empty for a model type and for an unknown name."""
    if name in TYPES or name in ALIASES or name in PROVIDERS:
        return ""
    return _MEANINGS.get(name.lower().replace("-", "_"), "")
