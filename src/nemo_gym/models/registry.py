"""Models by type name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.baselines import OracleModel, RandomModel
from nemo_gym.models.embedded import EmbeddedModel
from nemo_gym.models.endpoints import ENDPOINT_TYPES, endpoint_model
from nemo_gym.models.none import NoModel
from nemo_gym.models.presets import PROVIDERS
from nemo_gym.models.replay import RecordingModel, ReplayModel
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import UsageError, did_you_mean

TYPES: Final = ("embedded", *ENDPOINT_TYPES, "scripted", "replay", "random", "oracle")
ALIASES: Final = {
    "openai_model": "responses",
    "vllm_model": "vllm",
    "azure_openai_model": "azure",
    "anthropic_model": "anthropic",
    "litellm_model": "chat",
    "inference_provider": "chat",
}
"""Type names of the original package."""


def build_model(
    type: str,
    *,
    name: str = "",
    url: str | Sequence[str] = "",
    api_key: str = "",
    timeout: float | None = None,
    record: str = "",
    settings: Mapping[str, Any] | None = None,
    link: LocalEnvironment | None = None,
) -> Model:
    """The model back end of a type.

    Args:
        type: one of `TYPES`, a hosted provider (`PROVIDERS`), or an alias.
        name: the endpoint's model name; for `scripted` a `path.py:function`, for `replay` a recording.
        url: base URL; several are copies of one model, and a session stays with one of them while it works.
        timeout: seconds one attempt at a call may take.
        record: a file that every call is recorded to.
        settings: what only models of this type have, for instance `return_token_id_information` of `vllm`.
        link: the environment acted in, for the baselines that look at it.

    Raises:
        UsageError: there is no such type, it needs something that is missing, or it has no such setting.
    """
    kind = ALIASES.get(type, type)
    if kind in ENDPOINT_TYPES or kind in PROVIDERS:
        urls = [url] if url and isinstance(url, str) else list(url)
        model = endpoint_model(kind, urls, name, api_key=api_key, timeout=timeout, settings=settings)
        return RecordingModel(model, record) if record else model
    if settings:
        raise UsageError(f"model type {type!r} has no settings, but {', '.join(settings)} is given")
    match kind:
        case "embedded":
            model = EmbeddedModel()
        case "scripted":
            _need_name(type, name)
            model = ScriptedModel(name)
        case "replay":
            _need_name(type, name)
            model = ReplayModel(name)
        case "none":
            model = NoModel()
        case "random":
            model = RandomModel()
        case "oracle":
            if link is None:
                raise UsageError("model type 'oracle' needs an environment in this process to look at")
            model = OracleModel(link)
        case _:
            raise UsageError(f"no model type {type!r}.{did_you_mean(type, {*TYPES, *PROVIDERS, *ALIASES})}")
    return RecordingModel(model, record) if record else model


def _need_name(type: str, name: str) -> None:
    if not name:
        raise UsageError(f"model type {type!r} needs --model")
