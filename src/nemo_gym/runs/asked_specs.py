"""The models that an environment asks, as plain data from settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.resources import undeclared
from nemo_gym.models.registry import PROVIDERS, TYPES
from nemo_gym.models.type_table import ALIASES
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.wire.errors import UsageError, did_you_mean

AskSettings: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Settings of models by the names under which an environment asks them."""

KEY_VARIABLE: Final = "api_key_env"
"""The setting that names the environment variable with the key."""
_FIELDS: Final = ("type", "url", "model", "api_key", KEY_VARIABLE, "timeout")
_NEED_ADDRESS: Final = frozenset({"chat", "responses", "vllm", "sglang"})


def asked_spec(name: str, settings: Mapping[str, Any]) -> ModelSpec:
    """A model that an environment asks.

    Args:
        name: the name under which the environment asks it, for messages.
        settings: `type` (`chat` where there is a `url`), `url`, `model`, `api_key` or `api_key_env`,
            `timeout`, and the settings of its type.

    Raises:
        UsageError: a setting is missing or wrong.
    """
    fields = {key: value for key, value in settings.items() if value not in ("", None)}
    kind = fields.pop("type", "chat" if "url" in fields or "base_url" in fields else "")
    if not isinstance(kind, str) or not kind:
        near = next((did_you_mean(key, _FIELDS) for key in fields if key not in _FIELDS), "")
        raise UsageError(
            f"{name}: where is the model? Set {name}.url and {name}.model, or {name}.type.{near}"
        )
    if ALIASES.get(kind, kind) not in {*TYPES, *PROVIDERS}:
        raise UsageError(f"{name}.type: no model type {kind!r}.{did_you_mean(kind, {*TYPES, *PROVIDERS})}")
    variable = fields.pop(KEY_VARIABLE, None)
    if variable is not None:
        if variable not in os.environ:
            raise UsageError(f"{name}.{KEY_VARIABLE}: the environment variable {variable} is not set")
        fields["api_key"] = os.environ[variable]
    spec = ModelSpec.of_instance(kind, fields)
    if spec.type in _NEED_ADDRESS:
        for key, value in (("url", spec.url), ("model", spec.name)):
            if not value:
                raise UsageError(f"{name}: model type {kind!r} needs {name}.{key}")
    return spec


def with_asked(spec: EnvironmentSpec, more: AskSettings) -> EnvironmentSpec:
    """The same environment with the models that its settings describe under the names it asks.

    Args:
        more: settings that replace those of the environment and of the models in `spec`.

    Raises:
        UsageError: there is no such environment, it asks no model of that name, or a setting is wrong.
    """
    if spec.url or not spec.ref:
        if more:
            where = "the environment at the URL" if spec.url else "the server"
            raise UsageError(f"models for {', '.join(more)} can't be supplied: {where} brings its own models")
        return spec
    kind = find_environment(spec.ref)
    for name in more:
        if name not in kind.asks:
            raise UsageError(undeclared(kind.name(), name, kind.asks))
    own, model_settings = split_settings(kind, spec.settings)
    models = dict(spec.models)
    for name in kind.asks:
        if name in model_settings or name in more:
            before = {} if name in model_settings or name not in models else _settings_of(models[name])
            models[name] = asked_spec(name, {**before, **model_settings.get(name, {}), **more.get(name, {})})
    return msgspec.structs.replace(spec, settings=own, models=models)


def split_settings(
    kind: type[Environment], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """The settings of the environment itself, and those of the models that it asks, by name."""
    names = [name for name in kind.asks if isinstance(settings.get(name), Mapping)]
    own = {key: value for key, value in settings.items() if key not in names}
    return own, {name: settings[name] for name in names}


def _settings_of(spec: ModelSpec) -> dict[str, Any]:
    fields = {"type": spec.type, "model": spec.name, "url": spec.url, "api_key": spec.api_key}
    return {**fields, "timeout": spec.timeout, **spec.settings}
