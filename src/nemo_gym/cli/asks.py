"""The models that an environment asks, as flags of a command name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nemo_gym.cli.words import read_settings
from nemo_gym.environments.resources import ModelMissing
from nemo_gym.wire.errors import UsageError


def read_asks(words: Sequence[str], **judge: Any) -> dict[str, dict[str, Any]]:
    """`judge.url=URL` as `{"judge": {"url": URL}}`.

    Args:
        judge: settings of the judge by flags of their own; an empty one says nothing.

    Raises:
        UsageError: a word is something else.
    """
    asks: dict[str, dict[str, Any]] = {}
    for key, value in read_settings(words, "a model that the environment asks").items():
        name, dot, setting = key.partition(".")
        if not (name and dot and setting):
            raise UsageError(f"--ask {key}: expected NAME.KEY=VALUE, for instance judge.url=URL")
        asks.setdefault(name, {})[setting] = value
    if given := {key: value for key, value in judge.items() if value}:
        asks.setdefault("judge", {}).update(given)
    return asks


def missing(error: ModelMissing) -> UsageError:
    """The error for a model that is missing, with what supplies it to a command."""
    name = error.name
    return UsageError(
        f"{error}: pass --ask {name}.url=URL --ask {name}.model=NAME, or set {name}: "
        "{type: chat, url: ..., model: ...} among the settings of the environment"
    )
