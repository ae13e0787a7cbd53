"""The errors of a configuration. The command prints only the message and exits 1."""

from __future__ import annotations

from collections.abc import Iterable

from nemo_gym.wire.errors import GymError, did_you_mean


class ConfigError(GymError):
    """The configuration can't be used as written."""


class ConfigPathNotFoundError(ConfigError):
    """A file of `config_paths` is in none of the search roots."""


class MalformedConfigPathsError(ConfigError):
    """`config_paths` is not a list of strings."""


class ConfigInterpolationError(ConfigError):
    """A `${...}` refers to something that isn't there."""


class ConfigMissingValuesError(ConfigError):
    """Required values (`???`) are missing."""


class InheritPathNotFoundError(ConfigError):
    """A directive names a path that isn't there."""


class ServerRefNotFoundError(ConfigError):
    """A reference names an instance that isn't there."""


class AlmostServerError(ConfigError):
    """Something looks like a server instance but is not a valid one."""


class NoServerInstancesError(ConfigError):
    """There is nothing to start."""


def nearest(wrong: str, candidates: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest candidates; unlike `did_you_mean`, never a list of all."""
    hint = did_you_mean(wrong, candidates)
    return hint if hint.endswith("?") else ""
