"""Model back end for a generative reward model, which compares two answers in separate roles."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.models.local_vllm import LocalVllmSettings
from nemo_gym.models.vllm import VllmModel
from nemo_gym.wire.params import RequestParams


class GenrmSettings(LocalVllmSettings, kw_only=True, frozen=True):
    """The settings of vLLM, and the roles that the model's template knows."""

    supports_principle_role: bool = True
    """Whether `metadata.principle`, what to judge by, goes along."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_completions_api or self.is_responses_native:
            raise ValueError("roles of their own need the chat route")


class GenrmModel(VllmModel):
    """vLLM whose requests end with what `metadata` holds as `principle`, `response_1` and `response_2`,
    messages in roles of those names."""

    Settings = GenrmSettings
    starts_engine = True

    def _chat_request(self, params: RequestParams) -> dict[str, Any]:
        request = super()._chat_request(params)
        metadata = params.get("metadata") or {}
        for role in _ROLES if self._has_principle else _ROLES[1:]:
            if (text := metadata.get(role)) is not None:
                request["messages"].append({"role": role, "content": text})
        return request

    @property
    def _has_principle(self) -> bool:
        return isinstance(self.settings, GenrmSettings) and self.settings.supports_principle_role


_ROLES: Final = ("principle", "response_1", "response_2")
"""In the order that the template expects."""
