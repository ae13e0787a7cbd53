"""The result of a rollout: its line for the journal and the few facts that a run counts."""

from __future__ import annotations

from typing import Any

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.token_packing import has_tokens, pack_row


class Result(msgspec.Struct, array_like=True):
    """One scored or failed rollout."""

    task: int
    rollout: int
    line: bytes
    """The row as JSON with its newline, for the rollouts or the failures file."""
    reward: float | None
    """None when it failed."""
    failure: str | None
    """The failure class, None when it was scored."""
    error: str
    """The failure's message."""
    tokens: int
    """Output tokens."""
    seconds: float
    pending: bool = False
    """Whether the rollout counts as not run; its line is then written to no file."""

    @classmethod
    def of(cls, rollout: Rollout) -> Result:
        """The result of a rollout that has ended."""
        failure = rollout.failure
        usage = rollout.response.usage if rollout.response is not None else None
        return cls(
            task=rollout.row[keys.TASK_INDEX],
            rollout=rollout.row[keys.ROLLOUT_INDEX],
            line=encode(_with_ids_once(rollout)) + b"\n",
            reward=rollout.reward,
            failure=None if failure is None else failure.failure_class,
            error="" if failure is None else str(failure),
            tokens=usage["output_tokens"] if usage else 0,
            seconds=rollout.timing.get("total_s", 0.0),
            pending=failure is not None and failure.pending,
        )


def _with_ids_once(rollout: Rollout) -> dict[str, Any]:
    row = rollout.to_row()
    return pack_row(row) if rollout.response is not None and has_tokens(rollout.response.output) else row
