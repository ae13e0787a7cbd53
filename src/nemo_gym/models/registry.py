"""Models by type name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.http import Timeouts
from nemo_gym.wire.errors import UsageError, did_you_mean

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
    build = _BUILDERS.get(ALIASES.get(type, type))
    if build is None:
        raise UsageError(f"no model type {type!r}.{did_you_mean(type, {*_BUILDERS, *ALIASES})}")
    model = build(name, url, api_key, Timeouts.of(timeout), link)
    return _recording(model, record) if record else model


def _chat(name: str, url: str, api_key: str, timeouts: Timeouts, link: LocalEnvironment) -> Model:
    from nemo_gym.models.chat import ChatModel

    _need("chat", url=url, name=name)
    return ChatModel(url, name, api_key=api_key or None, timeouts=timeouts)


def _responses(name: str, url: str, api_key: str, timeouts: Timeouts, link: LocalEnvironment) -> Model:
    from nemo_gym.models.responses import ResponsesModel

    _need("responses", url=url, name=name)
    return ResponsesModel(url, name, api_key=api_key or None, timeouts=timeouts)


def _need(type: str, **values: str) -> None:
    missing = [f"--model-{key}" if key != "name" else "--model" for key, value in values.items() if not value]
    if missing:
        raise UsageError(f"model type {type!r} needs {' and '.join(missing)}")


Builder = Callable[[str, str, str, Timeouts, LocalEnvironment], Model]
_BUILDERS: Final[dict[str, Builder]] = {"chat": _chat, "responses": _responses}
