"""Prompt files: YAML with a `user` and perhaps a `system` template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.sources import find_file
from nemo_gym.config.yaml_files import read_mapping
from nemo_gym.wire.prompt import Prompt


class PromptFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a prompt file."""

    user: str
    system: str | None = None


def load_prompt(path: str, roots: Sequence[Path]) -> Prompt:
    """The prompt in a file, absolute or relative to a search root.

    Raises:
        ConfigError: there is no such file, or it is not a prompt.
        UsageError: a template in it can't be read.
    """
    file = find_file(path, roots)
    if file is None:
        raise ConfigError(f"prompt {path}: there is no such file (looked in {', '.join(map(str, roots))})")
    try:
        texts = msgspec.convert(read_mapping(file), PromptFile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"prompt {file}: {error}") from None
    return Prompt(path, texts.user, texts.system)
