"""Models by type name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.meanings import LOCAL_TYPES, NAMELESS_TYPES, ready_meaning
from nemo_gym.models.presets import PROVIDERS
from nemo_gym.models.type_table import ALIASES, ENDPOINT_TYPES, TYPES, load
from nemo_gym.wire.errors import UsageError, did_you_mean

__all__ = ["ALIASES", "TYPES", "build_model"]


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
        name: the endpoint's model name; for `scripted` a `path.py:function`, for `replay` a recording,
            for `hf` a folder of weights or a GGUF file.
        url: base URL. Several URLs serve copies of one model, and a session uses one of them while it works.
        timeout: the most seconds of one attempt at a call.
        record: a file that every call is recorded to.
        settings: settings of this type alone, such as `return_token_id_information` of `vllm`.
        link: the environment of the run; the type `oracle` needs it.

    Raises:
        UsageError: there is no such type or setting, or something is missing that the type needs.
    """
    check_model(type, name=name, url=url)
    kind = ALIASES.get(type, type)
    if kind in ENDPOINT_TYPES or kind in PROVIDERS:
        urls = [url] if url and isinstance(url, str) else list(url)
        open_endpoint = load("endpoints:endpoint_model")
        model = open_endpoint(kind, urls, name, api_key=api_key, timeout=timeout, settings=settings)
    elif settings:
        raise UsageError(f"model type {type!r} has no settings, but {', '.join(settings)} is given")
    elif kind in _NAMES:
        if not name:
            raise UsageError(f"model type {type!r} needs {_NAMES[kind]}").about("model")
        model = load(TYPES[kind])(name)
    elif kind == "oracle":
        if link is None:
            raise UsageError("model type 'oracle' needs an environment in this process to look at")
        model = load(TYPES[kind])(link)
    elif kind in TYPES or kind == "none":
        model = load(TYPES.get(kind, _NONE))()
    else:
        raise UsageError(unknown_type(type)).about("model_type")
    if record:
        model = load("replay:RecordingModel")(model, record)
    return cast("Model", model)


def unknown_type(type: str) -> str:
    """The message about a name that is not a model type, with the type that it probably means."""
    meaning = ready_meaning(type)
    hint = f": use {meaning}" if meaning else f".{did_you_mean(type, {*TYPES, *PROVIDERS, *ALIASES})}"
    return f"no model type {type!r}{hint}"


def check_model(type: str, *, name: str, url: str | Sequence[str]) -> None:
    """Check that the type is not a common name of another one, and that it can have the URL and the name.

    Raises:
        UsageError: the check fails; the message says what would be right.
    """
    kind = ALIASES.get(type, type)
    if ready_meaning(type):
        raise UsageError(unknown_type(type)).about("model_type")
    if url and kind in LOCAL_TYPES:
        raise UsageError(
            f"model type {type!r} has no endpoint: leave out the URL, or name the endpoint's type "
            "(chat, responses, vllm, ...)"
        ).about("model_type", "model_url")
    if name and kind in NAMELESS_TYPES:
        raise UsageError(f"model type {type!r} has no name: leave it out").about("model")


_NONE: Final = "no_model:NoModel"
_NAMES: Final = {
    "hf": "a folder of weights or a .gguf file",
    "scripted": "a function, path.py:function",
    "replay": "the file of a recording",
}
"""The meaning of the name of a model type without an endpoint."""
