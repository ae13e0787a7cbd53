"""The flags that a message adds to the settings it is about."""

from __future__ import annotations

from typing import Final

from nemo_gym.wire.errors import GymError

_FLAGS: Final = {"model_settings": "--model-setting", "agent_settings": "--agent-setting", "asks": "--ask"}


def with_flags(error: GymError) -> str:
    """The message of an error, with the flags of the settings that it is about."""
    flags = [_FLAGS.get(name) or f"--{name.replace('_', '-')}" for name in error.settings]
    return f"{error} ({', '.join(flags)})" if flags else str(error)
