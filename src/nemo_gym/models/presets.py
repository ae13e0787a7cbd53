"""Hosted providers of open models: their URLs and the variables that hold their keys."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from nemo_gym.wire.errors import UsageError


class Provider(NamedTuple):
    """A provider's base URL, and the environment variables for the key that its documentation names."""

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


def key_of(type: str, api_key: str, variables: tuple[str, ...]) -> str:
    """The key to send: `api_key`, or else the value of the first variable that is set.

    Raises:
        UsageError: there is no key.
    """
    key = api_key or next((value for name in variables if (value := os.environ.get(name))), "")
    if not key:
        where = " or ".join(variables)
        raise UsageError(f"model type {type!r} needs a key: set {where}, or pass the key").about(
            "model_api_key"
        )
    return key
