"""Model back end for NVIDIA NIM: NVIDIA's hosted endpoint, and any NIM at a URL."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Unpack, cast
from urllib.parse import urlsplit

import msgspec

from nemo_gym.models.chat import ChatModel, ChatSettings
from nemo_gym.models.nemotron import Mode, Reasoning, apply_mode, family_of
from nemo_gym.models.remote import Access
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.params import RequestParams

NVIDIA_URL: Final = "https://integrate.api.nvidia.com/v1"
_EXTENSION: Final = "nvext"
"""The field of a request with NIM's own settings."""


class NimSettings(ChatSettings, kw_only=True, frozen=True):
    """The additional settings of a NIM."""

    reasoning: Reasoning | bool | None = None
    """Turn the reasoning of a Nemotron model on or off, with the sampling of its model card for requests that
    have neither a temperature nor `top_p`. By default, requests stay as they are. YAML reads `on` as true."""
    thinking_budget: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The most tokens of reasoning, with `reasoning=on`."""
    sampling: bool = True
    """Whether `reasoning` sets the sampling of the model card."""
    structured_output: Literal["response_format", "nvext"] = "response_format"
    """Where a JSON schema for the answer is sent; older NIMs only know `nvext.guided_json`."""

    def __post_init__(self) -> None:
        if self.thinking_budget is not None and self.reasoning not in ("on", True):
            raise ValueError("thinking_budget needs reasoning=on")


class NimModel(ChatModel):
    """Chat Completions with the reasoning switches of Nemotron models and the fields of NIM.

    Raises:
        UsageError: `reasoning` is set, and the model is no Nemotron model with a switch, or it has no budget.
    """

    Settings = NimSettings
    own_url = NVIDIA_URL
    key_variables = ("NVIDIA_API_KEY",)

    def __init__(
        self, url: str, name: str, settings: NimSettings | None = None, **access: Unpack[Access]
    ) -> None:
        settings = settings or NimSettings()
        super().__init__(url, name, settings, **access)
        self._mode: Mode | None = None
        self._budget_field = ""
        if settings.reasoning is not None:
            family = family_of(name)
            mode = family.on if settings.reasoning in ("on", True) else family.off
            self._mode = mode if settings.sampling else mode._replace(sampling={}, tool_sampling={})
            if settings.thinking_budget is not None and not family.budget:
                raise UsageError(f"thinking_budget: {family.name} can't limit its reasoning").about("model")
            is_hosted = urlsplit(url).hostname == urlsplit(NVIDIA_URL).hostname
            self._budget_field = family.budget if is_hosted else ""

    def _add_extras(self, body: dict[str, Any], params: RequestParams) -> None:
        super()._add_extras(body, params)
        if self._mode is not None:
            apply_mode(body, self._mode)
        if self.settings.thinking_budget is not None:
            self._add_budget(body, self.settings.thinking_budget)
        if self.settings.structured_output == _EXTENSION:
            _move_schema(body)

    def _add_budget(self, body: dict[str, Any], tokens: int) -> None:
        """Limit the reasoning: the hosted endpoint has a field of its own for each family."""
        if self._budget_field:
            body.setdefault(self._budget_field, tokens)
        else:
            _extend(body, "max_thinking_tokens", tokens)


def _move_schema(body: dict[str, Any]) -> None:
    """Send a JSON schema in the field that older NIMs have for it."""
    match body.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            del body["response_format"]
            _extend(body, "guided_json", schema)
        case _:
            pass


def _extend(body: dict[str, Any], name: str, value: Any) -> None:
    own: Any = body.get(_EXTENSION)
    body[_EXTENSION] = {name: value, **(cast("dict[str, Any]", own) if isinstance(own, dict) else {})}
