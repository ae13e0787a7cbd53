"""Text that goes to logs, without the secrets of this run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Final

from nemo_gym.wire.masking import MASK, is_secret
from nemo_gym.config.tree import Tree, leaves

LEAST: Final = 6
"""Letters that a secret must have to be looked for: shorter ones occur by chance."""


class Redactor:
    """Replaces known secrets wherever they occur."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {secret for secret in secrets if len(secret) >= LEAST}
        self._secrets = sorted(found, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text with `****` for every secret."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def secrets_in(tree: Tree) -> set[str]:
    """The texts of a configuration whose keys name something secret."""
    return {
        value
        for path, value in leaves(tree)
        if isinstance(value, str) and any(is_secret(key) for key in path if not key.isdecimal())
    }


def log_redacted(redactor: Redactor) -> None:
    """Send this process's log to standard error, secrets replaced, tracebacks too."""

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return redactor.text(super().format(record))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
