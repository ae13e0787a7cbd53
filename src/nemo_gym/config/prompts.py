"""Prompt files: YAML with a `user` and perhaps a `system` template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.sources import MAX_BYTES, find_file, malformed
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
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(f"prompt {file}: larger than {MAX_BYTES >> 20} MiB")
        document: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        texts = msgspec.convert(document, PromptFile)
    except yaml.YAMLError as error:
        raise malformed(file, error) from None
    except (OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"prompt {file}: {error}") from None
    return Prompt(path, texts.user, texts.system)
