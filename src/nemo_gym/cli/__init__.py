"""The `gym` command: flags in, components run, text out. No logic of its own."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Names that existing NeMo Gym code imports from here."""
    return importlib.import_module("nemo_gym.compat.table").original_name(__name__, name)
