"""`KEY=VALUE` words of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from nemo_gym.wire.errors import UsageError


def read_settings(words: Sequence[str], owner: str = "the environment") -> dict[str, Any]:
    """`level=2` as `{"level": 2}`; a value that is not JSON is text.

    Raises:
        UsageError: a word has no `=`.
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r}: expected KEY=VALUE, a setting of {owner}")
        try:
            settings[key] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            settings[key] = text
    return settings
