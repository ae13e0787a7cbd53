"""A second model beside the policy, which plays a user or the tools."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from nemo_gym.models.base import Model
from nemo_gym.models.registry import build_model
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import RequestParams

SideModel: TypeAlias = Model | Mapping[str, Any]
"""A model, or its settings as plain data: `{"type": "chat", "url": ..., "name": ...}`."""


class SideModelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The settings of a second model as plain data. There is no field for a key, so no row holds one."""

    type: str = "chat"
    name: str = ""
    url: str = ""
    api_key_env: str = ""
    """The environment variable that holds the key."""
    timeout: float | None = None
    """The most seconds of one attempt at a call."""


def open_side_model(model: SideModel) -> Model:
    """The model itself, or the model that its settings describe.

    Raises:
        UsageError: a setting is unknown, wrong or missing.
    """
    if isinstance(model, Model):
        return model
    try:
        settings = msgspec.convert(dict(model), SideModelSettings)
    except msgspec.ValidationError as error:
        setting_names = ", ".join(SideModelSettings.__struct_fields__)
        raise UsageError(f"second model: {error} (settings: {setting_names})") from None
    key = os.environ.get(settings.api_key_env, "") if settings.api_key_env else ""
    if settings.api_key_env and not key:
        raise UsageError(f"second model: the environment variable {settings.api_key_env} is not set")
    return build_model(
        settings.type, name=settings.name, url=settings.url, api_key=key, timeout=settings.timeout
    )


async def ask_side_model(model: Model, request: RequestParams, limit: int) -> str:
    """The second model's answer as text without surrounding blanks; at most `limit` output tokens.

    Raises:
        ModelError: it failed.
    """
    answer = await model.responses({**request, "max_output_tokens": limit})
    return answer.final_text.strip()
