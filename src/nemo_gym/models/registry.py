"""Models by type name."""

from __future__ import annotations

from typing import Final

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.baselines import OracleModel, RandomModel
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.embedded import EmbeddedModel
from nemo_gym.transport.http import Timeouts
from nemo_gym.models.replay import RecordingModel, ReplayModel
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import UsageError, did_you_mean

TYPES: Final = ("embedded", "chat", "responses", "scripted", "replay", "random", "oracle")
ALIASES: Final = {
    "openai_model": "responses",
    "vllm_model": "chat",
    "litellm_model": "chat",
    "inference_provider": "chat",
}
"""Type names of the original package."""


def build_model(
    type: str,
    *,
    name: str = "",
    url: str = "",
    api_key: str = "",
    timeout: float | None = None,
    record: str = "",
    link: LocalEnvironment,
) -> Model:
    """The model back end of a type.

    Args:
        type: `embedded`, `chat`, `responses`, `scripted`, `replay`, `random`, `oracle`, or an alias.
        name: the endpoint's model name; for `scripted` a `path.py:function`, for `replay` a recording.
        timeout: seconds one attempt at a call may take.
        record: a file that every call is recorded to.
        link: the environment acted in, for the baselines that look at it.

    Raises:
        UsageError: there is no such type, or it needs something that is missing.
    """
    match ALIASES.get(type, type):
        case "chat":
            _need(type, url=url, name=name)
            model = ChatModel(url, name, api_key=api_key or None, timeouts=Timeouts.of(timeout))
        case "responses":
            _need(type, url=url, name=name)
            model = ResponsesModel(url, name, api_key=api_key or None, timeouts=Timeouts.of(timeout))
        case "embedded":
            model = EmbeddedModel()
        case "scripted":
            _need(type, name=name)
            model = ScriptedModel(name)
        case "replay":
            _need(type, name=name)
            model = ReplayModel(name)
        case "random":
            model = RandomModel()
        case "oracle":
            model = OracleModel(link)
        case _:
            raise UsageError(f"no model type {type!r}.{did_you_mean(type, {*TYPES, *ALIASES})}")
    return RecordingModel(model, record) if record else model


def _need(type: str, **values: str) -> None:
    flags = {"url": "--model-url", "name": "--model"}
    missing = [flags[key] for key, value in values.items() if not value]
    if missing:
        raise UsageError(f"model type {type!r} needs {' and '.join(missing)}")
