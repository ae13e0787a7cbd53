"""Text that goes to logs, without the secrets of this run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

from nemo_gym.wire.masking import MASK


class Redactor:
    """Replaces known secrets wherever they occur.

    Args:
        secrets: empty ones are passed over.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text with `****` for every secret."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


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
