"""What a run does about captured tokens once rows are written: retire them, and stop when too many are of no
use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from nemo_gym.capture.finalise import Finaliser, Retirable
from nemo_gym.capture.row_columns import TOKEN_CAPTURE
from nemo_gym.capture.settings import TokenSettings


class TokenWatch:
    """Looks at the rows of a run whose tokens are captured.

    Raises:
        UsageError: the store can't be made.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._finaliser = Finaliser(settings.source(), settings.strategy)
        self._settings = settings
        self._finalised = 0
        self._reasons: Counter[str] = Counter()

    def judge(self, line: bytes) -> str:
        """Why the run is to stop after this row; empty when it is to go on."""
        ended = _capture_of(line)
        if ended is None:
            return ""
        self._finalised += 1
        if ended.masked is not None:
            self._reasons[ended.masked] += 1
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

    async def retire(self, lines: Sequence[bytes]) -> None:
        """Drop the tokens of rows that are on disk."""
        for line in lines:
            ended = _capture_of(line)
            if ended is not None:
                await self._finaliser.retire(ended)

    async def aclose(self) -> None:
        """Close the store."""
        await self._finaliser.aclose()


class _Line(msgspec.Struct, rename={"capture": TOKEN_CAPTURE}):
    """What of a row is read, without decoding the rest of it."""

    capture: Retirable | None = None


_decoder = msgspec.json.Decoder(_Line)


def _capture_of(line: bytes) -> Retirable | None:
    try:
        return _decoder.decode(line).capture
    except msgspec.ValidationError:  # an agent's own idea of that column
        return None
