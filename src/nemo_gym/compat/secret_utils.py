"""Masks secrets in configurations and command lines, with `nemo_gym.wire.masking`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from omegaconf import DictConfig, OmegaConf, open_dict

from nemo_gym.wire.masking import MASK, is_secret, mask

MASKED_VALUE: Final = MASK


def looks_like_secret_key(key: str) -> bool:
    """Whether a key names a token, key, password, secret or credential."""
    return is_secret(key)


def recursively_hide_secrets(dict_config: DictConfig) -> None:
    """Replace every secret in place, also inside other values."""
    masked = mask(cast("dict[str, Any]", OmegaConf.to_container(dict_config, resolve=False)))
    with open_dict(dict_config):
        for key, value in masked.items():
            dict_config[key] = value


def hide_secrets_in_overrides(overrides: Sequence[str]) -> list[str]:
    """The words of a command line with masked secrets, both as `key=value` and as `--key value`."""
    words: list[str] = []
    for word in overrides:
        key, equals, _ = word.partition("=")
        previous = words[-1] if words else ""
        if equals and is_secret(key.rpartition(".")[2]):
            words.append(f"{key}={MASK}")
        elif previous.startswith("--") and "=" not in previous and is_secret(previous):
            words.append(MASK)
        else:
            words.append(word)
    return words
