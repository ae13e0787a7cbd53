"""Model back end for a generative reward model, which gets the two answers to compare in their own roles."""

from __future__ import annotations

from typing import Any, Final

from nemo_gym.models.local_vllm import LocalVllmSettings
from nemo_gym.models.vllm import VllmModel
from nemo_gym.wire.params import RequestParams


class GenrmSettings(LocalVllmSettings, kw_only=True, frozen=True):
    """The settings of vLLM, and the role that the model's template may have."""

    supports_principle_role: bool = True
    """Whether to send `metadata.principle`, the rule for the comparison."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_completions_api or self.is_responses_native:
            raise ValueError("the roles of a reward model need the chat route")


class GenrmModel(VllmModel):
    """vLLM whose requests end with one message each for `principle`, `response_1` and `response_2` of
    `metadata`, in roles of these names."""

    Settings = GenrmSettings
    starts_engine = True

    def _chat_request(self, params: RequestParams) -> dict[str, Any]:
        request = super()._chat_request(params)
        metadata = params.get("metadata") or {}
        for role in _ROLES:
            text = metadata.get(role)
            if text is not None and (role != "principle" or self._sends_principle):
                request["messages"].append({"role": role, "content": text})
        return request

    @property
    def _sends_principle(self) -> bool:
        return isinstance(self.settings, GenrmSettings) and self.settings.supports_principle_role


_ROLES: Final = ("principle", "response_1", "response_2")
"""The roles, in the order that the template expects."""
