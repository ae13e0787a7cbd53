"""What makes sandboxes, one folder each."""

from __future__ import annotations

import importlib
from typing import Any

__path__.append(
    f"{__path__[0]}/../../compat/modules/sandbox/providers"
)  # existing NeMo Gym code imports these


def __getattr__(name: str) -> Any:
    """Names that existing NeMo Gym code imports from here."""
    return getattr(importlib.import_module("nemo_gym.sandbox"), name)
