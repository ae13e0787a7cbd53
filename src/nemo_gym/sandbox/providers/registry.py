"""Providers by name: registered ones, then built-in ones, then those of other packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from nemo_gym.sandbox.errors import InvalidSandbox
from nemo_gym.sandbox.providers.base import SandboxProvider

GROUP: Final = "nemo_gym.sandbox_providers"
"""Entry point group in which a package names its provider."""

_BUILT_IN: Final = {
    "apptainer": "nemo_gym.sandbox.providers.apptainer:ApptainerProvider",
    "docker": "nemo_gym.sandbox.providers.docker:DockerProvider",
    "local": "nemo_gym.sandbox.providers.local:LocalProvider",
    "monty": "nemo_gym.sandbox.providers.monty:MontyProvider",
    "opensandbox": "nemo_gym.sandbox.providers.opensandbox:OpenSandboxProvider",
    "remote": "nemo_gym.sandbox.providers.remote:RemoteProvider",
}
_by_name: dict[str, Callable[..., SandboxProvider]] = {}


def register_provider(
    name: str, provider_class: Callable[..., SandboxProvider], *, override: bool = False
) -> None:
    """Register a provider under a name.

    Args:
        name: as configurations name it.
        provider_class: called with the settings of a configuration.
        override: replace a provider of that name.

    Raises:
        InvalidSandbox: the name is taken.
    """
    if not override and (name in _by_name or name in _BUILT_IN):
        raise InvalidSandbox(f"Sandbox provider {name!r} is already registered")
    _by_name[name] = provider_class


def list_providers() -> list[str]:
    """Every name, sorted."""
    return sorted({*_by_name, *_BUILT_IN, *_plugins()})


def get_provider_class(name: str) -> Callable[..., SandboxProvider]:
    """The provider of a name.

    Raises:
        InvalidSandbox: there is no such provider, or its package can't be imported.
    """
    if name in _by_name:
        return _by_name[name]
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    plugin = _plugins().get(name)
    if plugin is None:
        raise InvalidSandbox(
            f"Unknown sandbox provider {name!r}. Available providers: {', '.join(list_providers())}"
        )
    try:
        return plugin.load()
    except (ImportError, AttributeError) as error:
        raise InvalidSandbox(
            f"Sandbox provider {name!r} ({plugin.value}) can't be loaded: {error}"
        ) from error


def create_provider(config: Mapping[str, Any]) -> SandboxProvider:
    """The provider of `{name: settings}`.

    Raises:
        InvalidSandbox: the mapping has not exactly one name, or the settings don't fit.
    """
    if len(config) != 1:
        raise InvalidSandbox(
            f"Sandbox provider config must contain exactly one provider name, not {sorted(config)}"
        )
    [(name, settings)] = config.items()
    if settings is not None and not isinstance(settings, Mapping):
        raise InvalidSandbox(
            f"Sandbox provider {name!r}: expected its settings as a mapping, not {settings!r}"
        )
    provider_class = get_provider_class(name)
    try:
        return provider_class(**(settings or {}))
    except TypeError as error:
        raise InvalidSandbox(f"Sandbox provider {name!r}: {error}") from error


def _plugins() -> dict[str, EntryPoint]:
    return {plugin.name: plugin for plugin in entry_points(group=GROUP)}
