"""Builds the models behind HTTP endpoints from their type and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from nemo_gym.models.base import Model
from nemo_gym.models.call_limit import LimitedModel
from nemo_gym.models.guardrails import GuardedModel
from nemo_gym.models.presets import PROVIDERS, key_of
from nemo_gym.models.remote import EndpointSettings, UrlModel
from nemo_gym.models.replicas import ReplicatedModel
from nemo_gym.models.type_table import ENDPOINT_TYPES, load
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.masking import remember_secret_keys, remember_secrets


def endpoint_model(
    type: str,
    urls: Sequence[str],
    name: str,
    *,
    api_key: str = "",
    timeout: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Model:
    """The model at one URL, or at several URLs that serve copies of it.

    Args:
        type: one of `ENDPOINT_TYPES`, or a hosted provider of `PROVIDERS`.
        name: the model's name at the endpoint.
        timeout: the most seconds of one attempt at a call.

    Raises:
        UsageError: the URL, the name or the key is missing, or there is no such setting.
    """
    provider = PROVIDERS.get(type)
    kind = _class_of("chat" if provider else type)
    own_url, variables = provider or (kind.own_url, kind.key_variables)
    if variables and (provider or not own_url or not urls):
        api_key = key_of(type, api_key, variables)
    urls = urls or ([own_url] if own_url else [])
    missing: list[str] = []
    if not (urls or kind.starts_engine):
        missing.append("model_url")
    if kind.needs_name and not name:
        missing.append("model")
    if missing:
        words = " and ".join("a URL" if setting == "model_url" else "a name" for setting in missing)
        raise UsageError(f"model type {type!r} needs {words}").about(*missing)
    values = _read_settings(type, kind.Settings, settings or {})
    remember_secrets([api_key])
    remember_secret_keys(dict(settings or {}))
    timeouts = Timeouts.of(timeout)

    def build(url: str, retry: Retry | None = None) -> Model:
        return kind.open(url, name, values, api_key=api_key or None, timeouts=timeouts, retry=retry)

    if not urls:
        model = cast("Model", load("local_vllm:EngineModel")(build, name, values, api_key=api_key))
    elif len(urls) == 1:
        model = build(urls[0])
    else:
        model = ReplicatedModel(urls, build)
    if values.guardrails is not None:
        model = GuardedModel(model, values.guardrails)
    limit = values.max_concurrent_requests
    return model if limit is None else LimitedModel(model, limit)


def _class_of(model_type: str) -> type[UrlModel]:
    return cast("type[UrlModel]", load(ENDPOINT_TYPES[model_type]))


def _read_settings(
    model_type: str, kind: type[EndpointSettings], settings: Mapping[str, Any]
) -> EndpointSettings:
    for key in settings:
        if key not in kind.__struct_fields__:
            hint = did_you_mean(key, kind.__struct_fields__)
            raise UsageError(f"model type {model_type!r} has no setting {key!r}.{hint}")
    try:
        return msgspec.convert(settings, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings of model type {model_type!r}: {error}") from None
