"""Sandbox providers, one folder each."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Names that existing NeMo Gym code imports from here."""
    return getattr(importlib.import_module("nemo_gym.sandbox"), name)
