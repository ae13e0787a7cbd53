"""The calls of the models that an environment asks, added up over rollouts."""

from __future__ import annotations

from typing import Final

import msgspec

from nemo_gym.runs.tool_counts import Number


class AskedCount(msgspec.Struct, omit_defaults=True):
    """The calls of one model. The tokens are 0 where the model reports none."""

    calls: Number = 0
    failed: Number = 0
    input_tokens: Number = 0
    output_tokens: Number = 0


def add_counts(totals: dict[str, AskedCount], counts: dict[str, AskedCount]) -> None:
    """Add the counts of each model to its total."""
    for name, count in counts.items():
        if name in totals or len(totals) < _MOST_NAMES:
            total = totals.setdefault(name, AskedCount())
            total.calls += count.calls
            total.failed += count.failed
            total.input_tokens += count.input_tokens
            total.output_tokens += count.output_tokens


def read_asked_counts(raw: bytes) -> dict[str, AskedCount]:
    """The counts in a row; none if another program wrote something else there."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


_MOST_NAMES: Final = 100
_decoder: Final = msgspec.json.Decoder(dict[str, AskedCount])
