"""Drops captured tokens once their rows are written, and stops a run when too many can't be trained on."""

from __future__ import annotations

from collections import Counter

import msgspec

from nemo_gym.capture.finalise import Finaliser, Retirable
from nemo_gym.capture.settings import TokenSettings
from nemo_gym.runs.journal import Commit
from nemo_gym.wire import keys


class TokenWatch:
    """Watches the rows of a run whose tokens are captured.

    Raises:
        UsageError: the store can't be made.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._finaliser = Finaliser(settings.source(), settings.strategy)
        self._settings = settings
        self._finalised = 0
        self._reasons: Counter[str] = Counter()

    def judge(self, line: bytes) -> str:
        """Why the run must stop after this row; empty when it goes on."""
        capture = _capture_of(line)
        if capture is None:
            return ""
        self._finalised += 1
        if capture.masked is not None:
            self._reasons[capture.masked] += 1
        most, masked = self._settings.max_mask_fraction, self._reasons.total()
        if most is None or self._finalised < self._settings.mask_fraction_min_samples:
            return ""
        if masked <= most * self._finalised:
            return ""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self._reasons.most_common())
        return (
            f"{masked} of {self._finalised} rollouts can't be trained on, more than max_mask_fraction "
            f"{most:g} allows: {reasons}"
        )

    async def on_commit(self, commit: Commit) -> None:
        """Drop the tokens of scored rows that are on disk."""
        for line in commit.rollouts:
            capture = _capture_of(line)
            if capture is not None:
                await self._finaliser.retire(capture)

    async def aclose(self) -> None:
        """Close the store."""
        await self._finaliser.aclose()


class _Line(msgspec.Struct, rename={"capture": keys.TOKEN_CAPTURE}):
    """The one column that is read; the rest of the row is not decoded."""

    capture: Retirable | None = None


_decoder = msgspec.json.Decoder(_Line)


def _capture_of(line: bytes) -> Retirable | None:
    try:
        return _decoder.decode(line).capture
    except msgspec.ValidationError:  # the agent wrote something else into that column
        return None
