"""Sandboxes on this machine that need only its kernel: no daemon, no image, nothing to install.

The names below are imported when they are used, because a sandbox's supervisor imports this package too and
needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemo_gym.sandbox.providers.local.provider import Isolation as Isolation
    from nemo_gym.sandbox.providers.local.provider import LocalProvider as LocalProvider
    from nemo_gym.sandbox.providers.local.settings import LocalCreateConfig as LocalCreateConfig
    from nemo_gym.sandbox.providers.local.settings import LocalExecConfig as LocalExecConfig
    from nemo_gym.sandbox.providers.local.settings import LocalLimitsConfig as LocalLimitsConfig

_HOMES = {
    "Isolation": "provider",
    "LocalCreateConfig": "settings",
    "LocalExecConfig": "settings",
    "LocalLimitsConfig": "settings",
    "LocalProvider": "provider",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
